/** Writes a cache to a file (cache-format.ts). */

import { createHash } from 'node:crypto'
import type { NativeCache } from '../engine/binding.js'
import { abortError, type JobOptions } from '../engine/job.js'
import { writeFileAtomic } from '../files/write.js'
import { magic, partsOf, payloadBytes, version } from './cache-format.js'
import type { Header } from './cache-header.js'
import type { ModelIdentity, PruneResult } from './kv-cache.js'

export interface SaveOptions extends JobOptions {
  /** Replace the file that is there. */
  force?: boolean | undefined
}

/** What lies beside the entries and is not the engine's business. */
export interface CacheMetadata {
  model: ModelIdentity
  contextHash: string
  ropePositions: number
  fullBytes: number
  pruned: PruneResult | undefined
}

export async function saveCache(
  path: string,
  cache: NativeCache,
  { model, contextHash, fullBytes, ropePositions, pruned }: CacheMetadata,
  options: SaveOptions,
): Promise<void> {
  const release = cache.hold()
  try {
    cache.checkWeights()
    const { prefix, context, position, evicted, layers } = cache.info()
    const logits = cache.lastLogits()
    const header: Header = {
      model,
      contextHash,
      sink: prefix,
      context,
      position,
      evicted,
      vocab: logits.length,
      modelLayers: layers,
      ropePositions,
      geometry: Array.from(cache.geometry()),
      lengths: Array.from(cache.lengths()),
      windows: Array.from(cache.windows()),
      fullBytes,
      pruned: pruned ?? null,
    }
    const content = fileContent(header, logits, cache, options)
    await writeFileAtomic(path, content, { force: options.force === true })
  } finally {
    release()
  }
}

async function* fileContent(
  header: Header,
  logits: Float32Array,
  cache: NativeCache,
  { signal, onProgress }: JobOptions,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  const parts = [...partsOf(header, cache.geometry())]
  const all = payloadBytes(header, parts)
  let done = 0
  const pass = (bytes: Uint8Array): Uint8Array => {
    if (signal?.aborted) throw abortError()
    hash.update(bytes)
    done += bytes.length
    onProgress?.({ done: Math.min(done / all, 1) })
    return bytes
  }
  const text = Buffer.from(JSON.stringify(header))
  const start = Buffer.alloc(16)
  start.write(magic, 0, 'latin1')
  start.writeUInt32LE(version, 8)
  start.writeUInt32LE(text.length, 12)
  yield pass(Buffer.concat([start, text]))
  yield pass(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
  for (const { layer, head, from, count } of parts) yield pass(cache.read(layer, head, from, count))
  cache.checkWeights()
  yield hash.digest()
}
