/**
 * A cache in a file, so that a context is compressed once and answers many times:
 *
 *     "HZKVCACH" | version u32 | header bytes u32 | header (JSON, UTF-8)
 *     logits of the last prefilled token: (vocab) f32
 *     for every layer, for every KV head, a part of at most 4 MiB after the other: its keys, then its values,
 *         (entries, head_dim) each, in the engine's own element type, then the entries' positions, (entries) int32
 *     sha256 of everything before
 *
 * Numbers are little-endian. The header names the model and gives each layer's geometry and each head's length, so that
 * the size of the whole file is known, and compared with the model and the file, before anything is allocated. It is a
 * snapshot for the same model on the same kind of engine, not a format for exchange.
 */

import type { Header } from './cache-header.js'

export const magic = 'HZKVCACH'
/** 2: the context's hash. */
export const version = 2
export const checksumBytes = 32
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
