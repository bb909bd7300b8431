/**
 * What is evicted of a context: options that several commands share. None has a default for yargs to fill in: whether
 * one was given tells whether eviction is asked for at all.
 */

import type { Options } from 'yargs'
import { InputError } from '../errors.js'
import { parseRatio } from '../eval/ratios.js'
import { readAnyScores } from '../formats/detect.js'
import { defaultRecent, defaultSink, isPairLevel, type Level, levels } from '../inference/levels.js'
import type { HeadScores, Sweep } from '../scores/head-scores.js'
import type { SelectionRule } from '../scores/select.js'

export const evictionOptions = {
  level: {
    choices: levels,
    describe:
      'What is evicted: whole KV heads, all of them but a window, or single pairs, which need no --scores (default: head)',
  },
  scores: { type: 'string', describe: 'Head scores, for the levels head and streaming' },
  ratio: {
    type: 'string',
    describe: 'Share of KV heads or pairs whose context is kept, as 0.6 or 60% (default: 0.6)',
  },
  selection: {
    choices: ['exact', 'published'] as const satisfies readonly SelectionRule[],
    describe: "Keep exactly that share, or follow the published rule's threshold (default: exact)",
  },
  sink: { type: 'number', describe: `Level streaming: first tokens kept (default: ${defaultSink})` },
  recent: { type: 'number', describe: `Level streaming: latest tokens seen (default: ${defaultRecent})` },
  sweep: {
    choices: ['full', 'chunk', 'block'] as const satisfies readonly Sweep[],
    describe:
      'Pair levels: how a context is scored; chunk and block are cheaper approximations (default: full)',
  },
} as const satisfies Record<string, Options>

/** As given; undefined where nothing was. */
export interface EvictionArgs {
  level: Level | undefined
  scores: string | undefined
  ratio: string | undefined
  selection: SelectionRule | undefined
  sink: number | undefined
  recent: number | undefined
  sweep: Sweep | undefined
}

export interface ChosenEviction {
  level: Level
  ratio: number
  rule: SelectionRule
  /** Of the levels head and streaming. */
  scores: HeadScores | undefined
  sink: number | undefined
  recent: number | undefined
  sweep: Sweep
}

/** Whether any option says that something is to be evicted, or how. */
export function asksForEviction(args: EvictionArgs): boolean {
  const { level, scores, ratio, selection, sink, recent, sweep } = args
  return [level, scores, ratio, selection, sink, recent, sweep].some((each) => each !== undefined)
}

/** Checks the options and reads the scores. @throws InputError or RangeError for what does not go together */
export async function readEviction(args: EvictionArgs): Promise<ChosenEviction> {
  const { level = 'head', selection: rule = 'exact', sink, recent, sweep = 'full' } = args
  const ratio = parseRatio(args.ratio ?? '0.6')
  const pairs = isPairLevel(level)
  if (pairs && args.scores !== undefined)
    throw new InputError(`--level ${level} scores the pairs of each context itself: leave out --scores`)
  if (level !== 'streaming' && (sink ?? recent) !== undefined)
    throw new InputError('--sink and --recent belong to --level streaming')
  if (!pairs && sweep !== 'full') throw new InputError('--sweep belongs to the levels pair and pair-uniform')
  if (!pairs && args.scores === undefined)
    throw new InputError(`--level ${level} needs head scores: name a file with --scores`)
  const scores = args.scores === undefined ? undefined : await readAnyScores(args.scores)
  return { level, ratio, rule, scores, sink, recent, sweep }
}

/** `head 0.6`; `full` when nothing is evicted */
export function evictionName(eviction: Pick<ChosenEviction, 'level' | 'ratio'> | undefined): string {
  return eviction ? `${eviction.level} ${eviction.ratio}` : 'full'
}
