/** Scores as ranks that other people's readers cannot mix up. */

import { invalidParameter } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { rankHeads } from '../scores/select.js'

export type Ties = 'separate' | 'keep'

/** Values are rounded to this, so that what is apart here is apart when printed with seven decimals. */
const unit = 1e-7
/** A hair over 1e-4: the difference of two parsed decimals may come out just below what was written. */
const gapUnits = 1001
/** DuoAttention's readers add noise of up to 1e-6 to each value. */
const noise = 2e-6

/**
 * (layers, kv_heads) values in 0..top, neighbours of the ranking at least 1e-4 apart (less only above 9,990
 * heads), in the order of the exact selection, tie-breaks included. Scores that are apart already stay where they
 * are. A first pass pushes down from the top, so that saturated heads spread below 1; a second lifts what fell
 * below 0.
 */
export function separateTies(scores: Pick<HeadScores, 'max' | 'mean'>, top = 1): number[] {
  const order = rankHeads(scores)
  const topUnits = Math.round(top / unit)
  const gap = Math.min(gapUnits, Math.floor(topUnits / Math.max(order.length - 1, 1)))
  const units = new Float64Array(order.length)
  let ceiling = topUnits
  for (const cell of order) {
    units[cell] = Math.min(Math.round(clip(scores.max[cell]!) / unit), ceiling)
    ceiling = units[cell]! - gap
  }
  let floor = 0
  for (const cell of order.toReversed()) {
    units[cell] = Math.max(units[cell]!, floor)
    floor = units[cell]! + gap
  }
  return Array.from(units, (value) => value / 1e7)
}

/** How many neighbours in the ranking are so close that noise decides between them. */
export function decidedByNoise(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort()
  return sorted.subarray(1).filter((value, i) => value - sorted[i]! < noise).length
}

export function clip(value: number): number {
  return Math.min(Math.max(value, 0), 1)
}

/** @throws RangeError for anything but the two ways of handling equal scores */
export function checkTies(ties: unknown): Ties {
  if (ties === 'separate' || ties === 'keep') return ties
  throw invalidParameter('ties', "'separate' or 'keep'", ties)
}

/** (layers, kv_heads) values to write down: as they are, or set apart within 0..top. */
export function tiedValues(scores: Pick<HeadScores, 'max' | 'mean'>, ties: Ties, top = 1): Float32Array {
  return ties === 'separate' ? Float32Array.from(separateTies(scores, top)) : scores.max
}
