/** How far two sets of scores agree. */

import { InputError, invalidParameter } from '../errors.js'
import type { HeadScores } from './head-scores.js'
import { selectHeads } from './select.js'
import { sourceLabel } from './verify.js'

/**
 * Spearman's rank correlation, ties given their average rank: Pearson's correlation of the ranks.
 * NaN when either side is constant, for then it has no ranking.
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
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
 * Of the round(n * share) heads that each would keep (rule `exact`), the share that both keep; 1 when neither
 * keeps any. @throws InputError unless both have the same layers and KV heads
 */
export function topShareOverlap(a: HeadScores, b: HeadScores, share: number): number {
  if (a.kvHeads !== b.kvHeads || a.layerIds.join() !== b.layerIds.join())
    throw new InputError(
      `${sourceLabel(a)} (${a.layers} x ${a.kvHeads}) and ${sourceLabel(b)} (${b.layers} x ${b.kvHeads}) ` +
        'do not score the same heads',
    )
  const inA = selectHeads(a, { ratio: share })
  const inB = selectHeads(b, { ratio: share })
  const both = inA.keep.reduce((sum, flag, i) => sum + (flag & inB.keep[i]!), 0)
  return inA.kept > 0 ? both / inA.kept : 1
}
