/** One sample under several arms: read once, scored once, asked once an arm. */

import type { JobOptions } from '../engine/job.js'
import type { KvCache } from '../inference/kv-cache.js'
import type { Model } from '../inference/model.js'
import type { Sweep } from '../scores/head-scores.js'
import type { SelectionRule } from '../scores/select.js'
import type { Arm } from './arms.js'
import { judge } from './judge.js'
import type { PlannedSample } from './plan.js'
import type { ResultRow } from './record.js'

export interface AnswerOptions extends Pick<JobOptions, 'signal'> {
  /** `retain` keeps the full cache and gathers what an arm keeps beside it; `evict` evicts from a copy. */
  kind: 'evict' | 'retain'
  /** How pairs are scored. */
  sweep: Sweep
  chunkSize: number
  rule: SelectionRule
  /** Tokens that a streaming head keeps. */
  sink: number
  recent: number
  /** Called with the share of the sample's work that is done. */
  onDone?: ((done: number) => void) | undefined
}

/** Tokens of prefill that take about as long as one new token, roughly, on a CPU. */
const prefillTokensATokenOfAnswer = 10

/** In units of new tokens. */
export function workOf(
  { contextIds, lengths, queries }: PlannedSample,
  arms: readonly Arm[],
  { asked = true } = {},
): number {
  const read = (contextIds.length / prefillTokensATokenOfAnswer) * (scoresPairs(arms) ? 2.5 : 1)
  const answers = lengths.slice(0, queries.length).reduce((sum, length) => sum + length, 0)
  return read + (asked ? answers * arms.length : 0)
}

export function scoresPairs(arms: readonly Pick<Arm, 'level'>[]): boolean {
  return arms.some(({ level }) => level === 'pair' || level === 'pair-uniform')
}

/** @returns one row an arm and question, in the order of the arms */
export async function answerSample(
  model: Model,
  plan: PlannedSample,
  arms: readonly Arm[],
  options: AnswerOptions,
): Promise<ResultRow[]> {
  const { signal, onDone, chunkSize, kind, sweep } = options
  const { prefixIds, contextIds } = plan
  const all = workOf(plan, arms)
  const asking = (all - workOf(plan, arms, { asked: false })) / arms.length
  let done = all - asking * arms.length
  const kv = await model.prefillIds(prefixIds, contextIds, {
    ...(scoresPairs(arms) && { level: 'pair' as const, sweep, chunkSize }),
    kind,
    signal,
    onProgress: (progress) => onDone?.((progress.done * done) / all),
  })
  try {
    const rows: ResultRow[] = []
    for (const arm of arms) {
      rows.push(
        ...(await withArm(kv, arm, options, (pruned) =>
          answerArm(model, plan, arm, pruned, {
            signal,
            onProgress: (progress) => onDone?.((done + progress.done * asking) / all),
          }),
        )),
      )
      done += asking
    }
    return rows
  } finally {
    kv.close()
  }
}

/** The cache as an arm leaves it, for the time of one use. The full cache must be used before any other arm. */
async function withArm<T>(
  kv: KvCache,
  { level, ratio, heads }: Arm,
  { kind, rule, sink, recent }: AnswerOptions,
  use: (kv: KvCache) => Promise<T>,
): Promise<T> {
  if (level === 'full') return use(kv)
  const pruned = kind === 'retain' ? kv : kv.clone()
  try {
    pruned.prune({
      level: level === 'random' ? 'head' : level,
      ratio,
      rule,
      ...(heads && { scores: heads }),
      ...(level === 'streaming' && { sink, recent }),
    })
    return await use(pruned)
  } finally {
    if (pruned !== kv) pruned.close()
  }
}

async function answerArm(
  model: Model,
  { sample, metric, queries, lengths }: PlannedSample,
  { level, ratio, scores: label, draw }: Arm,
  kv: KvCache,
  options: JobOptions,
): Promise<ResultRow[]> {
  const made = await model.generateBatch(
    queries.map((query, i) => ({ query, maxNewTokens: lengths[i]! })),
    { ...options, kv },
  )
  const predictions = made.map(({ text }) => text)
  const scores = await judge(metric, sample, predictions)
  return predictions.map((prediction, question) => ({
    level,
    scores: label,
    ratio,
    draw,
    question,
    prediction,
    score: scores[question]!,
    keptBytes: kv.bytes,
    fullBytes: kv.fullBytes,
  }))
}
