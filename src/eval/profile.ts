/** What eviction costs and saves on one sample: times, memory, answers, and how probable the reference answers become. */

import { checkFields, checkList, checkOneOf, checkOptions, jobFields } from '../check.js'
import type { Sample } from '../data/sample.js'
import type { JobOptions } from '../engine/job.js'
import { budgetOfCache } from '../inference/cache-budget.js'
import type { KvCache } from '../inference/kv-cache.js'
import { checkLevel, isPairLevel, type LevelOptions } from '../inference/levels.js'
import { checkModel, type Model } from '../inference/model.js'
import type { Budget } from '../scores/budget.js'
import type { HeadScores, Sweep } from '../scores/head-scores.js'

export interface ProfileOptions extends LevelOptions, JobOptions {
  /** Of the levels head and streaming. */
  scores?: HeadScores | undefined
  /** Of the levels pair and pair-uniform. */
  sweep?: Sweep | undefined
  chunkSize?: number | undefined
  /** A context with more tokens loses its middle. */
  maxContext?: number | undefined
  /** Only the first questions of the sample. */
  questions?: number | undefined
  maxNewTokens?: number | undefined
  /** Steps that decoding is timed over. */
  decodeTokens?: number | undefined
  onStep?: ((step: string) => void) | undefined
}

export interface ProfiledStep {
  name: string
  seconds: number
  /** Most bytes that the engine held, weights not counted; null where it was not asked. */
  peakBytes: number | null
  /** Of the whole process, afterwards. */
  residentBytes: number
}

export interface ProfiledCache {
  name: string
  bytes: number
  /** Best of three. */
  timeToFirstToken: number
  tokensPerSecond: number
  /** Mean natural logarithm of a reference token's probability; null without reference answers. */
  meanLogProb: number | null
}

export interface ProfiledAnswer {
  query: string
  reference: string | null
  full: string
  pruned: string
  /** Mean natural logarithm of a reference token's probability. */
  logProb: { full: number; pruned: number } | null
}

export interface Profile {
  data: string
  index: number
  tokens: { prefix: number; context: number }
  level: string
  ratio: number
  kept: number
  total: number
  budget: Budget
  steps: ProfiledStep[]
  caches: [full: ProfiledCache, pruned: ProfiledCache]
  answers: ProfiledAnswer[]
}

const decodeRuns = 3

export async function profileSample(model: Model, sample: Sample, options: ProfileOptions): Promise<Profile> {
  checkModel(model)
  checkFields(sample, 'sample', { data: 'string', index: 'count', context: 'text' })
  checkList(sample.queries, 'sample.queries', 'string', 0)
  checkList(sample.answers, 'sample.answers', 'string', 0)
  checkOptions(options, {
    ...jobFields,
    questions: 'positive?',
    maxNewTokens: 'positive?',
    decodeTokens: 'positive?',
    chunkSize: 'positive?',
    maxContext: 'positive?',
    onStep: 'function?',
  })
  checkLevel(options)
  if (options.sweep !== undefined) checkOneOf(options.sweep, 'sweep', ['full', 'chunk', 'block'])
  const { level, ratio, questions = sample.queries.length } = options
  const read = await readTimed(model, sample.context, options)
  const { full, pruned, steps } = read
  try {
    const { prefix, context } = full.info
    const { kept, total } = pruned.pruned!
    const budget = budgetOfCache(pruned)
    const queries = sample.queries.slice(0, questions)
    const answers: ProfiledAnswer[] = []
    for (const [i, query] of queries.entries()) {
      const step = `question ${i + 1} of ${queries.length}`
      answers.push(await compareAnswers(model, query, sample.answers[i] ?? null, read, step, options))
    }
    const caches = await timeDecoding(
      model,
      queries[0] ?? 'Repeat the previous context exactly.',
      read,
      options,
    )
    caches[0].meanLogProb = meanOf(answers.map(({ logProb }) => logProb?.full))
    caches[1].meanLogProb = meanOf(answers.map(({ logProb }) => logProb?.pruned))
    const { data, index } = sample
    return {
      data,
      index,
      tokens: { prefix, context },
      level,
      ratio,
      kept,
      total,
      budget,
      steps,
      caches,
      answers,
    }
  } finally {
    full.close()
    pruned.close()
  }
}

interface Read {
  full: KvCache
  pruned: KvCache
  steps: ProfiledStep[]
}

/** The prefill that evicts at once, prefill alone, with scoring at the pair levels, and pruning afterwards. */
async function readTimed(model: Model, context: string, options: ProfileOptions): Promise<Read> {
  const { level, ratio, rule, sink, recent, scores, sweep, signal, onProgress, onStep } = options
  const { chunkSize, maxContext } = options
  const how = { level, rule, sink, recent, scores, sweep, chunkSize, maxContext, signal, onProgress }
  const steps: ProfiledStep[] = []
  const timed = async (name: string, work: () => Promise<KvCache>): Promise<KvCache> => {
    onStep?.(name)
    const started = performance.now()
    const kv = await work()
    const seconds = (performance.now() - started) / 1000
    steps.push({ name, seconds, peakBytes: kv.peakBytes, residentBytes: process.memoryUsage.rss() })
    return kv
  }
  // First what the others' caches must not stand beside, as the engine counts all that it holds.
  const evicting = await timed('prefill with eviction', () => model.prefill(context, { ...how, ratio }))
  evicting.close()
  let full = await timed('prefill', () => model.prefill(context, { maxContext, signal, onProgress }))
  if (isPairLevel(level)) {
    full.close()
    full = await timed('prefill and scoring', () => model.prefill(context, how))
  }
  const pruned = full.clone()
  const started = performance.now()
  pruned.prune({ level, ratio, rule, sink, recent, scores })
  const seconds = (performance.now() - started) / 1000
  steps.push({ name: 'pruning', seconds, peakBytes: null, residentBytes: process.memoryUsage.rss() })
  return { full, pruned, steps }
}

async function compareAnswers(
  model: Model,
  query: string,
  reference: string | null,
  { full, pruned }: Read,
  step: string,
  { maxNewTokens, signal, onProgress, onStep }: ProfileOptions,
): Promise<ProfiledAnswer> {
  const job = { signal, onProgress }
  const answer = async (kv: KvCache, name: string): Promise<string> => {
    onStep?.(`${step}, ${name}`)
    return String(await model.generate(query, { kv, maxNewTokens, ...job }))
  }
  const logProb = async (kv: KvCache, of: string): Promise<number> =>
    meanOf([...(await model.logProbs(query, of, { kv, ...job })).logProbs])!
  const answers = { full: await answer(full, 'full cache'), pruned: await answer(pruned, 'evicted') }
  if (reference) onStep?.(`${step}, its reference`)
  const logProbs = reference && {
    full: await logProb(full, reference),
    pruned: await logProb(pruned, reference),
  }
  return { query, reference, ...answers, logProb: logProbs || null }
}

/** Both caches in turn, so that a machine that slows down slows both. */
async function timeDecoding(
  model: Model,
  query: string,
  { full, pruned }: Read,
  { decodeTokens = 64, level, ratio, signal, onProgress, onStep }: ProfileOptions,
): Promise<[ProfiledCache, ProfiledCache]> {
  const caches: [ProfiledCache, ProfiledCache] = [
    emptyRow('full', full),
    emptyRow(`${level} ${ratio}`, pruned),
  ]
  const all = 2 * decodeRuns
  onStep?.('timing the decoding')
  for (let run = 0; run < decodeRuns; run++) {
    for (const [i, kv] of [full, pruned].entries()) {
      const made = await model.generate(query, {
        kv,
        maxNewTokens: decodeTokens,
        ignoreEos: true,
        signal,
        onProgress: ({ done }) => onProgress?.({ done: (2 * run + i + done) / all }),
      })
      const row = caches[i]!
      row.timeToFirstToken = Math.min(row.timeToFirstToken, made.timeToFirstToken)
      row.tokensPerSecond = Math.max(row.tokensPerSecond, made.tokensPerSecond)
    }
  }
  return caches
}

function emptyRow(name: string, { bytes }: KvCache): ProfiledCache {
  return { name, bytes, timeToFirstToken: Number.POSITIVE_INFINITY, tokensPerSecond: 0, meanLogProb: null }
}

/** Of the numbers there are; null without any. */
function meanOf(values: readonly (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length
}
