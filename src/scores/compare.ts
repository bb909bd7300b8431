/** How far two sets of scores agree. */

import { check } from '../check.js'
import { InputError, invalidParameter } from '../errors.js'
import { checkScores } from './check.js'
import type { HeadScores } from './head-scores.js'
import { type SelectionRule, selectHeads } from './select.js'
import { sourceLabel } from './verify.js'

/**
 * Spearman's rank correlation, ties given their average rank: Pearson's correlation of the ranks.
 * NaN when either side is constant, for then it has no ranking.
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  check(a, 'a', 'numbers')
  check(b, 'b', 'numbers')
  if (a.length !== b.length) throw invalidParameter('b', `as long as a (${a.length})`, b.length)
  const x = averageRanks(a)
  const y = averageRanks(b)
  const mean = (a.length + 1) / 2
  let xy = 0
  let xx = 0
  let yy = 0
  for (let i = 0; i < x.length; i++) {
    const dx = x[i]! - mean
    const dy = y[i]! - mean
    xy += dx * dy
    xx += dx * dx
    yy += dy * dy
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : Number.NaN
}

/** Ranks from 1, lowest first; equal values share the mean of the ranks they take up. */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  const order = Int32Array.from({ length: values.length }, (_, i) => i)
  order.sort((a, b) => values[a]! - values[b]!)
  const ranks = new Float64Array(values.length)
  for (let start = 0; start < order.length; ) {
    let end = start + 1
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2
    start = end
  }
  return ranks
}

/**
 * Kendall's tau-b, which allows for ties: concordant less discordant pairs over the pairs that either side orders.
 * Quadratic, for heads are hundreds. NaN when either side is constant.
 */
export function kendall(a: ArrayLike<number>, b: ArrayLike<number>): number {
  check(a, 'a', 'numbers')
  check(b, 'b', 'numbers')
  if (a.length !== b.length) throw invalidParameter('b', `as long as a (${a.length})`, b.length)
  let balance = 0
  let orderedA = 0
  let orderedB = 0
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < i; j++) {
      const [x, y] = [Math.sign(a[i]! - a[j]!), Math.sign(b[i]! - b[j]!)]
      balance += x * y
      orderedA += x * x
      orderedB += y * y
    }
  return orderedA > 0 && orderedB > 0 ? balance / Math.sqrt(orderedA * orderedB) : Number.NaN
}

/**
 * Of the round(n * share) heads that each would keep (rule `exact`), the share that both keep; 1 when neither
 * keeps any. @throws InputError unless both have the same layers and KV heads
 */
export function topShareOverlap(a: HeadScores, b: HeadScores, share: number): number {
  refuseOtherHeads(a, b)
  check(share, 'share', 'ratio')
  const inA = selectHeads(a, { ratio: share })
  const inB = selectHeads(b, { ratio: share })
  const both = inA.keep.reduce((sum, flag, i) => sum + (flag & inB.keep[i]!), 0)
  return inA.kept > 0 ? both / inA.kept : 1
}

/** Shares at which overlaps are told. */
export const overlapShares = [0.25, 0.5, 0.6, 0.75] as const

export interface SideChange {
  layer: number
  kvHead: number
  /** scores in a and in b */
  a: number
  b: number
  /** which of the two keeps the head at the ratio */
  keptIn: 'a' | 'b'
}

export interface Comparison {
  spearman: number
  kendall: number
  /** one a share of `overlapShares` */
  overlap: number[]
  /** a row a scored layer */
  layers: {
    layer: number
    /** Spearman of its heads; NaN when one side scores them all alike */
    spearman: number
    /** share of its heads that are on the same side at the ratio */
    agreement: number
  }[]
  ratio: number
  /** heads kept by one and evicted by the other at the ratio, largest difference first */
  changes: SideChange[]
}

/**
 * @param options.ratio where sides are told; default 0.6
 * @throws InputError unless both have the same layers and KV heads
 */
export function compareScores(
  a: HeadScores,
  b: HeadScores,
  options: { ratio?: number; rule?: SelectionRule } = {},
): Comparison {
  refuseOtherHeads(a, b)
  check(options, 'options', 'object')
  const { ratio = 0.6, rule = 'exact' } = options
  const [inA, inB] = [selectHeads(a, { ratio, rule }).keep, selectHeads(b, { ratio, rule }).keep]
  const changes: SideChange[] = []
  const layers = Array.from(a.layerIds, (layer, row) => {
    const [from, to] = [row * a.kvHeads, (row + 1) * a.kvHeads]
    let same = 0
    for (let cell = from; cell < to; cell++) {
      const head = { layer, kvHead: cell - from, a: a.max[cell]!, b: b.max[cell]! }
      if (inA[cell] === inB[cell]) same++
      else changes.push({ ...head, keptIn: inA[cell] ? 'a' : 'b' })
    }
    return {
      layer,
      spearman: spearman(a.max.subarray(from, to), b.max.subarray(from, to)),
      agreement: same / a.kvHeads,
    }
  })
  changes.sort((x, y) => Math.abs(y.a - y.b) - Math.abs(x.a - x.b))
  return {
    spearman: spearman(a.max, b.max),
    kendall: kendall(a.max, b.max),
    overlap: overlapShares.map((share) => topShareOverlap(a, b, share)),
    layers,
    ratio,
    changes,
  }
}

function refuseOtherHeads(a: HeadScores, b: HeadScores): void {
  checkScores(a, 'a')
  checkScores(b, 'b')
  if (a.kvHeads !== b.kvHeads || a.layerIds.join() !== b.layerIds.join())
    throw new InputError(
      `${sourceLabel(a)} (${a.layers} x ${a.kvHeads}) and ${sourceLabel(b)} (${b.layers} x ${b.kvHeads}) ` +
        'do not score the same heads',
    )
}
