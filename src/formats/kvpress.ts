/**
 * The layout that kvpress's DuoAttentionPress reads: DuoAttention's repository, `attn_patterns/<name>/` with the
 * pattern and its config.json in it. kvpress fetches that from the web unless its base address is pointed at a copy.
 */

import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { InputError } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import {
  type DuoOptions,
  importDuo,
  noThreshold,
  patternName,
  streamingStatement,
  writePattern,
} from './duo.js'
import type { Exported } from './foreign.js'

export const patternsFolder = 'attn_patterns'

export async function exportKvpress(
  scores: HeadScores,
  dir: string,
  options: DuoOptions = {},
): Promise<Exported> {
  const { sink = 128, recent = 256 } = options
  const model = basename(scores.provenance.model).replace(/[^\w.+-]/g, '_') || 'model'
  const folder = join(dir, patternsFolder, model)
  const { files, warnings } = await writePattern(scores, folder, options, {})
  return {
    files,
    warnings,
    statement:
      `${streamingStatement(sink, recent)} ${noThreshold} kvpress calls that share head_compression_ratio and makes ` +
      'round(heads * share) of the lowest streaming, ties in the order they stand. It knows only the models in its ' +
      `PATTERNS_DICT: add '${scores.provenance.model}': '${model}' to it and point its base address at ${patternsFolder}.`,
  }
}

/** @param dir holds `attn_patterns` with one pattern somewhere below. @throws InputError for none or several */
export async function importKvpress(dir: string): Promise<HeadScores> {
  const names = await readdir(join(dir, patternsFolder), { recursive: true })
  const found = names.filter((name) => basename(name) === patternName).map((name) => dirname(name))
  if (found.length !== 1)
    throw new InputError(
      found.length === 0
        ? `${join(dir, patternsFolder)} holds no ${patternName}`
        : `${join(dir, patternsFolder)} holds ${found.length} patterns; name one of them: ${found.slice(0, 5).join(', ')}`,
    )
  return await importDuo(join(dir, patternsFolder, found[0]!))
}
