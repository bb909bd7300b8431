/** What `headzip score` ends with: the file that its scores are merged into, and the command that comes next. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { mergedName, scoreFilesIn } from '../../formats/detect.js'
import type { HeadScores } from '../../scores/head-scores.js'
import { mergeScores, mergesTo } from '../../scores/merge.js'
import { shortSourceLabel } from '../../scores/verify.js'

export interface Merged {
  file: string
  scores: HeadScores
  /** The file is there from before and was to be left alone. */
  kept: boolean
}

/** @param folder of the scores @param scored in this call, by file */
export function mergeScored(
  folder: string,
  scored: ReadonlyMap<string, HeadScores>,
  { force }: { force: boolean },
): Merged {
  const file = join(folder, mergedName)
  return { file, scores: mergeScores([...scored.values()]), kept: existsSync(file) && !force }
}

/** What was merged, or why nothing was; a sentence for scores in the folder that are of other calls. */
export async function mergedText(
  { file, scores, kept }: Merged,
  folder: string,
  scored: ReadonlyMap<string, HeadScores>,
): Promise<string> {
  const all = `${mergeCommand(folder)} --force`
  if (kept) return `${file} was there and is as it was; this merges all scores of the folder: ${all}`
  const said = `${file}: the ${mergesTo(scores)} over ${shortSourceLabel(scores)}`
  const others = (await scoreFilesIn(folder)).filter((other) => other !== file && !scored.has(other)).length
  if (others === 0) return said
  return `${said}; the folder holds ${others} more score file${others > 1 ? 's' : ''}: ${all} merges all`
}

export function mergeCommand(folder: string): string {
  return `headzip merge ${shellWord(folder)} -o ${shellWord(join(folder, mergedName))}`
}

/** @param model and @param revision as the command line names them */
export function askCommand(model: string, revision: string | undefined, { file }: Merged): string {
  const at = revision === undefined ? '' : ` --revision ${shellWord(revision)}`
  return `headzip ask ${shellWord(model)}${at} --context FILE --query "..." --scores ${shellWord(file)}`
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
