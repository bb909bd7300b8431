/** What is evicted of a context: options that several commands share. */

import type { Options } from 'yargs'
import { checkRatio, InputError } from '../errors.js'
import { readAnyScores } from '../formats/detect.js'
import type { HeadScores } from '../scores/head-scores.js'
import type { SelectionRule } from '../scores/select.js'

export const evictionOptions = {
  level: {
    choices: ['head'] as const,
    default: 'head' as const,
    describe: 'What is evicted: whole KV heads',
  },
  scores: { type: 'string', describe: 'Head scores' },
  ratio: { type: 'number', describe: 'Share of KV that keeps its context (default: 0.6)' },
  selection: {
    choices: ['exact', 'published'] as const satisfies readonly SelectionRule[],
    default: 'exact' as SelectionRule,
    describe: "Keep exactly that share, or follow the published rule's threshold",
  },
} as const satisfies Record<string, Options>

export interface ChosenEviction {
  /** `head 0.6` */
  name: string
  level: 'head'
  ratio: number
  rule: SelectionRule
  scores: HeadScores
}

/** @returns undefined when neither scores nor a ratio are given: nothing is evicted */
export async function readEviction(args: {
  level: 'head'
  scores: string | undefined
  ratio: number | undefined
  selection: SelectionRule
}): Promise<ChosenEviction | undefined> {
  const { level, selection: rule } = args
  if (args.scores === undefined && args.ratio === undefined) return undefined
  const ratio = checkRatio(args.ratio ?? 0.6, '--ratio')
  if (args.scores === undefined)
    throw new InputError(`--level ${level} needs head scores: name a file with --scores`)
  return { name: `${level} ${ratio}`, level, ratio, rule, scores: await readAnyScores(args.scores) }
}
