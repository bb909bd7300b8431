/** How a ranking settles as samples or chunks are added, and how sure each head's score is. */

import { checkOptions } from '../check.js'
import { InputError, invalidParameter } from '../errors.js'
import { checkParts, checkScores } from './check.js'
import { spearman } from './compare.js'
import type { HeadScores } from './head-scores.js'
import { selectHeads } from './select.js'

/** What one sample, or one chunk of a context, says of the heads. */
export interface Part {
  /** (layers, kv_heads) */
  max: Float32Array
  /** null in imported files */
  mean: Float32Array | null
  /** context positions behind the mean */
  positions: number
}

/** The maximum over parts, their means weighted by positions, as scores merge. */
export function mergeParts(parts: readonly Part[]): Part {
  checkParts(parts)
  return mergedParts(parts)
}

/** Of parts that were checked: orders and draws of them are merged by the hundred. */
function mergedParts(parts: readonly Part[]): Part {
  const first = parts[0]
  if (!first) throw new InputError('nothing to merge: no parts were given')
  const positions = parts.reduce((sum, part) => sum + part.positions, 0)
  const max = first.max.map((_, cell) => Math.max(...parts.map((part) => part.max[cell]!)))
  const weighted = (cell: number): number =>
    parts.reduce((sum, part) => sum + part.mean![cell]! * part.positions, 0) / Math.max(positions, 1)
  const mean = parts.every((part) => part.mean) ? max.map((_, cell) => weighted(cell)) : null
  return { max, mean, positions }
}

/** Chunks of one sample, from its pair scores. @throws InputError without them, RangeError for a chunk size of none */
export function chunkParts(scores: HeadScores, chunkSize: number): Part[] {
  checkScores(scores)
  const { pairs, positions } = scores
  if (!pairs)
    throw new InputError('chunks can be told apart in scores of single pairs only: score with --pairs')
  if (!Number.isInteger(chunkSize) || chunkSize < 1)
    throw invalidParameter('chunkSize', 'a positive integer', chunkSize)
  const parts: Part[] = []
  for (let start = 0; start < positions; start += chunkSize) {
    const end = Math.min(start + chunkSize, positions)
    const ofHead = (cell: number): Float32Array =>
      pairs.subarray(cell * positions + start, cell * positions + end)
    parts.push({
      max: scores.max.map((_, cell) => ofHead(cell).reduce((most, score) => Math.max(most, score), 0)),
      mean: scores.max.map((_, cell) => ofHead(cell).reduce((sum, score) => sum + score, 0) / (end - start)),
      positions: end - start,
    })
  }
  return parts
}

/**
 * Every chunk once, so that any beginning is spread over the whole: the last two, the first, then halves, quarters and
 * so on between them (van der Corput's sequence). The end comes first because local heads find their highest scores
 * right before the repetition, and no other chunk tells of them.
 */
export function spreadOrder(n: number): number[] {
  const size = 2 ** Math.ceil(Math.log2(Math.max(n, 1)))
  const spread = Array.from({ length: size }, (_, i) => {
    let at = 0
    for (let bit = size / 2, rest = i; rest > 0; rest >>= 1, bit /= 2) at += (rest & 1) * bit
    return n - 1 - at
  })
  return [...new Set([n - 1, n - 2, 0, ...spread])].filter((at) => at >= 0)
}

export interface Spread {
  mean: number
  least: number
  most: number
}

export interface Step {
  /** parts seen */
  parts: number
  /** Spearman of the scores so far with the final ones, over orders of the parts */
  spearman: Spread
  /** share of the heads finally kept that are kept so far */
  overlap: Spread
  /** both in the order given */
  first: { spearman: number; overlap: number }
}

export interface StabilityOptions {
  /** where overlaps are told; default 0.6 */
  ratio?: number
  /** orders of the parts to try, the first as given; default 20 */
  orders?: number
  seed?: number
}

/** @returns a step a part; the last agrees with itself */
export function convergence(parts: readonly Part[], options: StabilityOptions = {}): Step[] {
  checkOptions(options, { ratio: 'ratio?', orders: 'positive?', seed: 'integer?' })
  const { ratio = 0.6, orders = 20, seed = 1 } = options
  const final = mergeParts(parts)
  const kept = selectHeads(final, { ratio })
  const random = generator(seed)
  const runs = Array.from({ length: orders }, (_, run) => {
    const order = run === 0 ? [...parts] : shuffled(parts, random)
    return order.map((_, i) => {
      const sofar = mergedParts(order.slice(0, i + 1))
      const now = selectHeads(sofar, { ratio })
      const both = now.keep.reduce((sum, flag, cell) => sum + (flag & kept.keep[cell]!), 0)
      return { spearman: spearman(sofar.max, final.max), overlap: kept.kept > 0 ? both / kept.kept : 1 }
    })
  })
  return parts.map((_, i) => ({
    parts: i + 1,
    spearman: spread(runs.map((run) => run[i]!.spearman)),
    overlap: spread(runs.map((run) => run[i]!.overlap)),
    first: runs[0]![i]!,
  }))
}

/** A head's merged score over redrawn sets of parts. */
export interface Band {
  /** 5th and 95th percentile */
  low: number
  high: number
  /** share of the draws in which the ratio keeps it */
  kept: number
}

/** Bootstrap: as many parts as there are, drawn with replacement. (layers, kv_heads) bands */
export function confidenceBands(
  parts: readonly Part[],
  options: { ratio?: number; draws?: number; seed?: number } = {},
): Band[] {
  checkOptions(options, { ratio: 'ratio?', draws: 'positive?', seed: 'integer?' })
  const { ratio = 0.6, draws = 200, seed = 1 } = options
  const final = mergeParts(parts)
  const random = generator(seed)
  const drawn = Array.from({ length: draws }, () => {
    const merged = mergedParts(parts.map(() => parts[Math.floor(random() * parts.length)]!))
    return { max: merged.max, keep: selectHeads(merged, { ratio }).keep }
  })
  return Array.from(final.max, (_, cell) => {
    const values = Float64Array.from(drawn, ({ max }) => max[cell]!).sort()
    const at = (share: number): number => values[Math.round(share * (values.length - 1))]!
    return {
      low: at(0.05),
      high: at(0.95),
      kept: drawn.reduce((sum, { keep }) => sum + keep[cell]!, 0) / draws,
    }
  })
}

function spread(values: number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { mean, least: Math.min(...values), most: Math.max(...values) }
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const order = [...list]
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [order[i]!, order[j]!]
    order[i] = b
    order[j] = a
  }
  return order
}

/** 0..1, the same for the same seed: Math.random takes none. Park and Miller's minimal standard. */
function generator(seed: number): () => number {
  let state = (Math.abs(Math.trunc(seed)) % 2147483646) + 1
  return () => {
    state = (state * 48271) % 2147483647
    return (state - 1) / 2147483646
  }
}
