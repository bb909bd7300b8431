/** Ratio -> what is kept, a head or a pair at a time. */

import { createHash } from 'node:crypto'
import { check, checkFields, checkOptions } from '../check.js'
import { checkRatio, invalidParameter } from '../errors.js'
import { checkRanked } from './check.js'
import type { HeadScores } from './head-scores.js'

/**
 * `exact` (ours): exactly round(n * ratio) are kept; ties broken deterministically.
 * `published` (KVzip): keep score > t, t the value at index max(floor(n * ratio) - 1, 0) of the descending
 * sort of all pairs; a ratio of 1 keeps all. It keeps nothing where more than that share the maximum.
 */
export type SelectionRule = 'exact' | 'published'

export interface SelectOptions {
  /** share kept, (0, 1] */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
}

export interface Selection {
  /** 1 keeps, 0 evicts: (layers, kv_heads), for pairs (layers, kv_heads, positions) */
  keep: Uint8Array
  kept: number
  /**
   * `exact`: the lowest score that is kept, Infinity when none is.
   * `published`: t itself, only scores above it are kept; -Infinity at ratio 1.
   */
  threshold: number
}

/** Cells (layer * kv_heads + head), best first: by score, then mean over positions, then layer and head. */
export function rankHeads(scores: Pick<HeadScores, 'max' | 'mean'>): Int32Array {
  const { max, mean } = scores
  const order = Int32Array.from(max.keys())
  return order.sort((a, b) => max[b]! - max[a]! || (mean ? mean[b]! - mean[a]! : 0) || a - b)
}

export function selectHeads(scores: Pick<HeadScores, 'max' | 'mean'>, options: SelectOptions): Selection {
  checkRanked(scores)
  check(options, 'options', 'object')
  const ratio = checkRatio(options.ratio)
  if (checkRule(options.rule) === 'published') return aboveThreshold(scores.max, ratio, publishedHeadRank)
  const order = rankHeads(scores)
  const kept = Math.round(order.length * ratio)
  const keep = new Uint8Array(order.length)
  for (const cell of order.subarray(0, kept)) keep[cell] = 1
  return { keep, kept, threshold: kept > 0 ? scores.max[order[kept - 1]!]! : Number.POSITIVE_INFINITY }
}

export interface PairShape {
  layers: number
  kvHeads: number
  positions: number
}

/**
 * @param pairs (layers, kv_heads, positions); millions are fine: one native sort of a copy, no index arrays
 * @param options.uniform every head keeps the same share of its positions; else all pairs compete. The
 * threshold is then the lowest of the heads'.
 * Ties under `exact`: by layer, head, position.
 */
export function selectPairs(
  pairs: Float32Array,
  shape: PairShape,
  options: SelectOptions & { uniform?: boolean },
): Selection {
  check(pairs, 'pairs', 'floats')
  checkFields(shape, 'shape', { layers: 'positive', kvHeads: 'positive', positions: 'positive' })
  checkOptions(options, { uniform: 'flag?' })
  const ratio = checkRatio(options.ratio)
  const heads = shape.layers * shape.kvHeads
  if (pairs.length !== heads * shape.positions)
    throw invalidParameter('pairs', `${heads} x ${shape.positions} scores`, pairs.length)
  const pick = checkRule(options.rule) === 'published' ? aboveThreshold : firstByScore
  if (!options.uniform) return pick(pairs, ratio)
  const result: Selection = {
    keep: new Uint8Array(pairs.length),
    kept: 0,
    threshold: Number.POSITIVE_INFINITY,
  }
  for (let start = 0; start < pairs.length; start += shape.positions) {
    const head = pick(pairs.subarray(start, start + shape.positions), ratio)
    result.keep.set(head.keep, start)
    result.kept += head.kept
    result.threshold = Math.min(result.threshold, head.threshold)
  }
  return result
}

/**
 * A baseline: exactly round(n * ratio) heads drawn without regard to scores; the same seed, the same heads.
 * The order is that of sha256("seed:cell"), so that anyone can draw the same heads in any language: Math.random
 * takes no seed, and a generator's next version might draw others.
 */
export function randomHeads(
  shape: { layers: number; kvHeads: number },
  ratio: number,
  seed: number,
): Uint8Array {
  checkFields(shape, 'shape', { layers: 'positive', kvHeads: 'positive' })
  checkRatio(ratio)
  const n = shape.layers * shape.kvHeads
  const keep = new Uint8Array(n)
  for (const cell of randomHeadOrder(shape, seed).subarray(0, Math.round(n * ratio))) keep[cell] = 1
  return keep
}

/** Cells in the order in which `randomHeads` keeps them: a smaller ratio keeps a part of what a larger one does. */
export function randomHeadOrder(shape: { layers: number; kvHeads: number }, seed: number): Int32Array {
  if (!Number.isSafeInteger(seed)) throw invalidParameter('seed', 'a whole number', seed)
  const drawn = Array.from({ length: shape.layers * shape.kvHeads }, (_, cell) => ({
    cell,
    lot: createHash('sha256').update(`${seed}:${cell}`).digest('hex'),
  }))
  drawn.sort((a, b) => (a.lot < b.lot ? -1 : 1))
  return Int32Array.from(drawn, ({ cell }) => cell)
}

/**
 * KVzip applies its rule to pairs, each carrying its head's score: the pair at index floor(n * positions * ratio) - 1
 * belongs to this head, for any number of positions that is not tiny.
 */
function publishedHeadRank(n: number, ratio: number): number {
  // n * ratio may miss a whole number by a rounding error
  return Math.max(Math.ceil(n * ratio - 1e-9) - 1, 0)
}

function publishedPairRank(n: number, ratio: number): number {
  return Math.max(Math.floor(n * ratio) - 1, 0)
}

function aboveThreshold(values: Float32Array, ratio: number, rank = publishedPairRank): Selection {
  const n = values.length
  if (ratio === 1) return { keep: new Uint8Array(n).fill(1), kept: n, threshold: Number.NEGATIVE_INFINITY }
  const threshold = descendingAt(values, rank(n, ratio))
  const keep = new Uint8Array(n)
  let kept = 0
  for (let i = 0; i < n; i++)
    if (values[i]! > threshold) {
      keep[i] = 1
      kept++
    }
  return { keep, kept, threshold }
}

/** Keeps round(n * ratio): all above the threshold, then those at it in the order they lie in. */
function firstByScore(values: Float32Array, ratio: number): Selection {
  const n = values.length
  const kept = Math.round(n * ratio)
  const keep = new Uint8Array(n)
  if (kept === 0) return { keep, kept, threshold: Number.POSITIVE_INFINITY }
  const threshold = descendingAt(values, kept - 1)
  let left = kept
  for (let i = 0; i < n; i++)
    if (values[i]! > threshold) {
      keep[i] = 1
      left--
    }
  for (let i = 0; left > 0; i++)
    if (values[i] === threshold) {
      keep[i] = 1
      left--
    }
  return { keep, kept, threshold }
}

/** Without a comparator the typed array sorts natively: 14 million floats in about a second. */
function descendingAt(values: Float32Array, rank: number): number {
  return values.slice().sort()[values.length - 1 - rank] ?? Number.NEGATIVE_INFINITY
}

/** @throws RangeError for a rule that there is not; `exact` when left out */
export function checkRule(rule: SelectionRule | undefined): SelectionRule {
  if (rule === undefined || rule === 'exact' || rule === 'published') return rule ?? 'exact'
  throw invalidParameter('rule', "'exact' or 'published'", rule)
}
