/** How the entries of a cache are cut for its file. */

import type { Header } from './cache-header.js'

const partBytes = 4 << 20

/** Entries [from, from + count) of one head. */
export interface Part {
  layer: number
  head: number
  from: number
  count: number
  bytes: number
}

/** Parts of the entries, in the order in which they lie. @param geometry (layers * 2) KV heads and head_dim */
export function* partsOf({ model, lengths }: Header, geometry: ArrayLike<number>): Generator<Part> {
  let index = 0
  for (let layer = 0; layer < geometry.length / 2; layer++) {
    const [kvHeads, headDim] = [geometry[2 * layer]!, geometry[2 * layer + 1]!]
    // Key, value and position.
    const entry = 2 * headDim * model.elementBytes + 4
    const most = Math.max(1, Math.floor(partBytes / entry))
    for (let head = 0; head < kvHeads; head++) {
      const length = lengths[index++]!
      for (let from = 0; from < length; from += most) {
        const count = Math.min(most, length - from)
        yield { layer, head, from, count, bytes: count * entry }
      }
    }
  }
}

export function payloadBytes({ vocab }: Header, parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 4 * vocab)
}
