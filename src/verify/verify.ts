/** Holds a model's numbers against expected ones: logits, scores of all sweeps, kept sets, tokens of evicted caches. */

import { checkOptions } from '../check.js'
import type { JobOptions } from '../engine/job.js'
import { scoredLayers } from '../engine/spec.js'
import { invalidParameter } from '../errors.js'
import type { KvCache } from '../inference/kv-cache.js'
import { checkModel, type Model } from '../inference/model.js'
import { spearman } from '../scores/compare.js'
import type { Sweep } from '../scores/head-scores.js'
import { selectPairs } from '../scores/select.js'
import { Expected, readCases, type VerifyCase } from './cases.js'

export interface Tolerances {
  /** Largest difference of a score, and of a logit */
  scores: number
  logits: number
  /** Which side of the cut a score this close to it falls on is decided by rounding. */
  cut: number
  /** Least Spearman correlation of the pair scores; 0: not asked for */
  ranking: number
  /** Of two tokens whose logits lie this close, either may be the greedy one. */
  tie: number
}

/**
 * fp32 sums in another order move scores by 2e-6 and logits by little more in a few layers; rounding adds up over the
 * layers of a real model. bf16 keeps 8 bits of every activation: single scores move by up to 0.085 on the fixtures
 * (PyTorch's own bf16), their ranking hardly at all.
 */
export function defaultTolerances(layers: number, arithmetic: string): Tolerances {
  if (arithmetic.endsWith('bf16')) return { scores: 0.1, logits: 0.25, cut: 0.1, ranking: 0.998, tie: 0.25 }
  const fp32 = { cut: 1e-5, ranking: 0, tie: 0 }
  return layers > deepest ? { scores: 5e-5, logits: 5e-4, ...fp32 } : { scores: 2e-5, logits: 1e-4, ...fp32 }
}
const deepest = 8

export interface VerifyOptions extends Pick<JobOptions, 'signal'> {
  /** Folder of cases.json and expected.safetensors; the model's own when left out. */
  cases?: string | undefined
  /** Largest allowed difference of a score or a logit. */
  tolerances?: { scores?: number | undefined; logits?: number | undefined } | undefined
  /** Called after each case. */
  onCase?: ((report: CaseReport, done: number, total: number) => void) | undefined
}

export interface Quantity {
  name: string
  /** Largest absolute difference; for kept sets and tokens, how many differ. NaN where a number was none. */
  difference: number
  /** 0 for kept sets and tokens. */
  tolerance: number
  passed: boolean
}

export interface CaseReport {
  name: string
  contextTokens: number
  quantities: Quantity[]
  passed: boolean
}

export interface VerifyReport {
  model: string
  /** `cpu/fp32` */
  arithmetic: string
  cases: CaseReport[]
  passed: boolean
  seconds: number
}

/** @throws InputError when cases or expected values are missing or malformed; differences are reported, not thrown */
export async function verifyModel(model: Model, options: VerifyOptions = {}): Promise<VerifyReport> {
  checkModel(model)
  checkOptions(options, { cases: 'path?', tolerances: 'object?', signal: 'signal?', onCase: 'function?' })
  const defaults = defaultTolerances(model.description.spec.layers.length, model.arithmetic)
  const tolerances = {
    ...defaults,
    scores: checkTolerance('tolerances.scores', options.tolerances?.scores ?? defaults.scores),
    logits: checkTolerance('tolerances.logits', options.tolerances?.logits ?? defaults.logits),
  }
  const folder = options.cases ?? model.description.folder
  const cases = readCases(folder)
  const expected = new Expected(folder)
  const started = performance.now()
  const reports: CaseReport[] = []
  for (const each of cases) {
    const judge = new Judge(model, each, expected, tolerances)
    await judge.scores(options.signal)
    await judge.decoding(options.signal)
    const { quantities } = judge
    const passed = quantities.every((quantity) => quantity.passed)
    reports.push({ name: each.name, contextTokens: each.contextIds.length, quantities, passed })
    options.onCase?.(reports.at(-1)!, reports.length, cases.length)
  }
  return {
    model: model.description.id,
    arithmetic: model.arithmetic,
    cases: reports,
    passed: reports.every((report) => report.passed),
    seconds: (performance.now() - started) / 1000,
  }
}

function checkTolerance(name: string, value: number): number {
  if (!(value >= 0)) throw invalidParameter(name, 'a number of at least 0', value)
  return value
}

/** One case: runs it and collects the differences. */
class Judge {
  readonly quantities: Quantity[] = []
  private readonly shape: { layers: number; kvHeads: number; positions: number }
  private readonly heads: number
  private readonly pairs: number

  constructor(
    private readonly model: Model,
    private readonly test: VerifyCase,
    private readonly expected: Expected,
    private readonly tolerances: Tolerances,
  ) {
    const { layers, kvHeads } = model.identity
    this.shape = { layers, kvHeads, positions: test.contextIds.length }
    this.heads = layers * kvHeads
    this.pairs = this.heads * test.contextIds.length
  }

  async scores(signal: AbortSignal | undefined): Promise<void> {
    const ids = scoredLayers(this.model.description.spec)
    const expected = this.expected.integers(`${this.test.name}/layer_ids`, ids.length)
    this.add(
      'layer_ids',
      countWhere(ids.length, (i) => ids[i] !== expected[i]),
      0,
    )
    for (const sweep of ['full', 'chunk', 'block'] as const) {
      const { max, pairs } = await this.sweep(sweep, signal)
      const name = sweep === 'full' ? 'pair_scores' : `pair_scores_${sweep}`
      const expected = this.floats(name, this.pairs)
      this.add(name, largestDifference(pairs, expected), this.tolerances.scores)
      if (this.tolerances.ranking > 0)
        this.add(`${name}_ranking`, 1 - correlation(pairs, expected), 1 - this.tolerances.ranking)
      if (sweep === 'full') this.kept(max, pairs)
    }
  }

  async decoding(signal: AbortSignal | undefined): Promise<void> {
    const { prefixIds, contextIds } = this.test
    const full = await this.model.prefillIds(prefixIds, contextIds, { signal })
    const { vocabSize } = this.model.description.spec
    const logits = this.floats('prefill_logits', vocabSize)
    this.add('prefill_logits', largestDifference(full.lastLogits, logits), this.tolerances.logits)
    try {
      await this.tokens('full', full, signal)
      await this.evicted('head', full, (kv) => kv.pruneHeads(this.mask('keep_head', this.heads)), signal)
      await this.evicted('pair', full, (kv) => kv.prunePairs(this.mask('keep_pair', this.pairs)), signal)
    } finally {
      full.close()
    }
  }

  private async sweep(
    sweep: Sweep,
    signal: AbortSignal | undefined,
  ): Promise<{ max: Float32Array; pairs: Float32Array }> {
    const { prefixIds, contextIds, chunkSize, repeatInputs } = this.test
    const chunks = repeatInputs.map((ids, i) => ({
      start: i * chunkSize,
      end: Math.min((i + 1) * chunkSize, contextIds.length),
      ids,
    }))
    const { max, pairs } = await this.model.scorePairs({
      prefixIds,
      contextIds,
      chunks,
      sweep,
      pairs: true,
      signal,
    })
    return { max, pairs: pairs ?? new Float32Array(0) }
  }

  /** What the published rule keeps of our scores. At head level each position carries its head's score. */
  private kept(max: Float32Array, pairs: Float32Array): void {
    const { positions } = this.shape
    const { headRatio, pairRatio } = this.test
    this.add(
      'head_scores',
      largestDifference(max, this.floats('head_scores', this.heads)),
      this.tolerances.scores,
    )
    const spread = (scores: Float32Array): Float32Array =>
      Float32Array.from({ length: this.pairs }, (_, i) => scores[Math.floor(i / positions)]!)
    const byHead = selectPairs(spread(max), this.shape, { ratio: headRatio, rule: 'published' }).keep
    const keepHead = Uint8Array.from({ length: this.heads }, (_, head) => byHead[head * positions]!)
    this.compareKept('keep_head', keepHead, this.floats('head_scores', this.heads), 'head_cut')
    const keepPair = selectPairs(pairs, this.shape, { ratio: pairRatio, rule: 'published' }).keep
    this.compareKept('keep_pair', keepPair, this.floats('pair_scores', this.pairs), 'pair_cut')
  }

  private compareKept(name: string, keep: Uint8Array, scores: Float32Array, cutName: string): void {
    const [cut = Number.NaN] = this.floats(cutName, 3)
    const expected = this.mask(name, keep.length)
    const clear = (i: number): boolean => !(Math.abs(scores[i]! - cut) <= this.tolerances.cut)
    this.add(
      name,
      countWhere(keep.length, (i) => clear(i) && keep[i] !== expected[i]),
      0,
    )
  }

  private async evicted(
    tag: string,
    full: KvCache,
    prune: (kv: KvCache) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const kv = full.clone()
    try {
      prune(kv)
      await this.tokens(tag, kv, signal)
    } finally {
      kv.close()
    }
  }

  private async tokens(tag: string, kv: KvCache, signal: AbortSignal | undefined): Promise<void> {
    const { queryIds, newTokens } = this.test
    const made = await this.model.generateIds(queryIds, {
      kv,
      maxNewTokens: newTokens,
      ignoreEos: true,
      signal,
    })
    const logits = this.floats(`logits_${tag}`, this.model.description.spec.vocabSize)
    this.add(`logits_${tag}`, largestDifference(made.firstLogits, logits), this.tolerances.logits)
    const expected = this.expected.integers(`${this.test.name}/tokens_${tag}`, newTokens)
    const margins = this.floats(`margin_${tag}`, newTokens)
    const first = expected.findIndex((id, i) => made.ids[i] !== id)
    // What follows a near tie that fell the other way is another text.
    const tied = first >= 0 && margins[first]! <= this.tolerances.tie
    this.add(`tokens_${tag}`, tied ? 0 : countWhere(newTokens, (i) => made.ids[i] !== expected[i]), 0)
  }

  private add(name: string, difference: number, tolerance: number): void {
    this.quantities.push({ name, difference, tolerance, passed: difference <= tolerance })
  }

  private floats(name: string, length: number): Float32Array {
    return this.expected.floats(`${this.test.name}/${name}`, length)
  }

  private mask(name: string, length: number): Uint8Array {
    return this.expected.mask(`${this.test.name}/${name}`, length)
  }
}

/** NaN when lengths differ or any of the numbers is NaN. */
function largestDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.NaN
  let largest = 0
  for (const [i, value] of actual.entries()) largest = Math.max(largest, Math.abs(value - expected[i]!))
  return largest
}

/** NaN where any of the numbers is: what is not a number has no rank. */
function correlation(actual: Float32Array, expected: Float32Array): number {
  return Number.isNaN(largestDifference(actual, expected)) ? Number.NaN : spearman(actual, expected)
}

function countWhere(length: number, holds: (i: number) => boolean): number {
  let count = 0
  for (let i = 0; i < length; i++) if (holds(i)) count++
  return count
}
