/** Where the weights of a model lie in its files, and a little of each. */

import { closeSync, openSync, readSync } from 'node:fs'
import type { TensorLocation, WeightRef } from '../engine/spec.js'
import type { WeightName } from './families/family.js'

/** Where the weight lies in the file: where the tensor does, or some of its rows. */
export function locateWeight(
  { role, shape, rows }: WeightName,
  { name, file, dtype, offset, bytes }: Omit<TensorLocation, 'shape'>,
): WeightRef {
  if (!rows) return { role, name, file, dtype, shape, offset, bytes }
  const [first, count] = rows
  const each = bytes / shape[0]!
  return {
    role,
    name,
    file,
    dtype,
    shape: [count, ...shape.slice(1)],
    offset: offset + first * each,
    bytes: count * each,
  }
}

/**
 * 64 bytes from the middle of every weight, and of its scales: a model trained anew has the same layout and other
 * numbers, and reading all of them would take minutes.
 */
export function sampleWeights(weights: WeightRef[]): Buffer[] {
  const open = new Map<string, number>()
  try {
    const locations = weights.flatMap((weight) => (weight.scales ? [weight, weight.scales] : [weight]))
    return locations.map(({ file, offset, bytes }) => {
      const handle = open.get(file) ?? openSync(file, 'r')
      open.set(file, handle)
      const sample = Buffer.alloc(Math.min(64, bytes))
      readSync(handle, sample, 0, sample.length, offset + Math.floor((bytes - sample.length) / 2))
      return sample
    })
  } finally {
    for (const handle of open.values()) closeSync(handle)
  }
}
