/**
 * DuoAttention's on-the-fly estimate: how far back a head looks, told from its mean query and mean key alone. The idea
 * and its figures are those of kvpress (DuoAttentionPress, `on_the_fly_scoring`); DuoAttention itself (arXiv 2410.10819)
 * trains its patterns instead.
 */

import { check, checkFields } from '../check.js'
import type { Rope } from '../engine/spec.js'
import { InputError } from '../errors.js'

/** Keys in a row that the estimate imagines. */
export const estimateLength = 500

export interface EstimateShape {
  heads: number
  kvHeads: number
  headDim: number
}

/** One layer's means over a text, before the rope. */
export interface LayerMeans {
  /** (heads, head_dim) */
  queries: Float32Array
  /** (kv_heads, head_dim) */
  keys: Float32Array
  /** That of the layer. */
  rope: Rope
}

/**
 * A head score a KV head. `length` keys, all equal to the mean key, stand in a row, and the mean query stands where the
 * last of them does; rope alone tells them apart. With a[d] the softmax weight of the key d positions back, scale
 * 1/sqrt(head_dim), the score is the area under the attention summed up from the oldest key on: sum of
 * a[d] * (d + 1) / length. It is 1 / length for a head that sees itself only and 1 for one that sees the oldest key only;
 * query heads of a group are averaged.
 *
 * The published code means to apply the norms that some models have over heads, but never finds them; here they are
 * applied, since attention sees queries and keys behind them. Without such norms the numbers are the same.
 * @returns (kv_heads), each in 0..1
 * @throws InputError where the sizes disagree
 */
export function duoEstimate(means: LayerMeans, shape: EstimateShape, length = estimateLength): Float32Array {
  checkFields(means, 'means', { queries: 'floats', keys: 'floats', rope: 'object' })
  checkFields(means.rope, 'means.rope', { invFreq: 'floats', scale: 'number', adjacent: 'flag?' })
  checkFields(shape, 'shape', { heads: 'positive', kvHeads: 'positive', headDim: 'positive' })
  check(length, 'length', 'positive')
  const { queries, keys, rope } = means
  const { heads, kvHeads, headDim } = shape
  if (queries.length !== heads * headDim || keys.length !== kvHeads * headDim)
    throw new InputError(
      `${heads} mean queries and ${kvHeads} mean keys of ${headDim} values are needed, ` +
        `got ${queries.length} and ${keys.length} values`,
    )
  const group = heads / kvHeads
  const table = rotaryTable(rope, length)
  const scores = new Float32Array(kvHeads)
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    const key = keys.subarray(kvHead * headDim, (kvHead + 1) * headDim)
    let sum = 0
    for (let head = kvHead * group; head < (kvHead + 1) * group; head++)
      sum += reach(logitsByDistance(queries.subarray(head * headDim, (head + 1) * headDim), key, table))
    scores[kvHead] = sum / group
  }
  return scores
}

/** Of one query head, by its logits: the mean of (distance + 1) / length under its attention. */
function reach(logits: Float64Array): number {
  const most = logits.reduce((a, b) => Math.max(a, b))
  let total = 0
  let area = 0
  for (const [distance, logit] of logits.entries()) {
    const weight = Math.exp(logit - most)
    total += weight
    area += (weight * (distance + 1)) / logits.length
  }
  return area / total
}

interface RotaryTable {
  length: number
  pairs: {
    /** Which two dimensions rotate together. */
    dims: [number, number]
    /** (length) by distance */
    cos: Float64Array
    sin: Float64Array
  }[]
}

/** The same for all heads of a layer. */
function rotaryTable({ invFreq, scale, adjacent = false }: Rope, length: number): RotaryTable {
  const pairs = Array.from(invFreq, (frequency, pair) => {
    const angles = Float64Array.from({ length }, (_, distance) => distance * frequency)
    return {
      dims: (adjacent ? [2 * pair, 2 * pair + 1] : [pair, pair + invFreq.length]) as [number, number],
      // queries and keys are both scaled
      cos: angles.map((angle) => scale ** 2 * Math.cos(angle)),
      sin: angles.map((angle) => scale ** 2 * Math.sin(angle)),
    }
  })
  return { length, pairs }
}

/**
 * Rope rotates a pair of query and key against one another by the angle of their distance, so a pair's product is
 * aligned * cos - crossed * sin; dimensions that do not rotate add a constant.
 */
function logitsByDistance(
  query: Float32Array,
  key: Float32Array,
  { length, pairs }: RotaryTable,
): Float64Array {
  const logits = new Float64Array(length)
  let still = 0
  for (let i = 2 * pairs.length; i < query.length; i++) still += query[i]! * key[i]!
  logits.fill(still)
  for (const { dims, cos, sin } of pairs) {
    const [a, b] = dims
    const aligned = query[a]! * key[a]! + query[b]! * key[b]!
    const crossed = query[b]! * key[a]! - query[a]! * key[b]!
    for (let d = 0; d < length; d++) logits[d] = logits[d]! + aligned * cos[d]! - crossed * sin[d]!
  }
  return logits.map((logit) => logit / Math.sqrt(query.length))
}
