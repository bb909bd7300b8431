/** The checksum of a score file's content: what it says, however Arrow lays it out. */

import { createHash } from 'node:crypto'
import type { HeadScores } from './head-scores.js'

/** createHash takes at most 2 GiB at once; pair scores may be more. */
const partBytes = 64 * 2 ** 20

/**
 * `sha256:` and the hex digest over the provenance as it stands in the file, the positions, and every column by name, its
 * values ordered by layer and KV head, little-endian; a zero byte ends each text. Columns that are null take no part.
 */
export function checksumOf(scores: HeadScores, provenance: string): string {
  const { kvHeads, layerIds, positions } = scores
  const rows = scores.layers * kvHeads
  const columns: [string, Int32Array | Float32Array | null][] = [
    ['layer', Int32Array.from({ length: rows }, (_, row) => layerIds[Math.floor(row / kvHeads)]!)],
    ['kv_head', Int32Array.from({ length: rows }, (_, row) => row % kvHeads)],
    ['max', scores.max],
    ['mean', scores.mean],
    ['p99', scores.p99],
    ['pairs', scores.pairs],
  ]
  const hash = createHash('sha256').update(`${provenance}\0${positions}\0`)
  for (const [name, values] of columns) {
    if (!values) continue
    hash.update(`${name}\0`)
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    for (let at = 0; at < bytes.length; at += partBytes) hash.update(bytes.subarray(at, at + partBytes))
  }
  return `sha256:${hash.digest('hex')}`
}
