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

import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { NativeCache, NativeEngine } from '../engine/binding.js'
import { abortError, type JobOptions } from '../engine/job.js'
import { InputError, isUserError } from '../errors.js'
import { type EngineDescription, ropesFor } from '../model/describe.js'
import { writeFileAtomic } from '../scores/files.js'
import {
  checkHeader,
  damaged,
  foreign,
  geometryOf,
  type Header,
  impossible,
  kvHeadsOf,
  parseHeader,
  truncated,
} from './cache-header.js'
import { partsOf, payloadBytes } from './cache-parts.js'
import { KvCache, type ModelIdentity, type PruneResult } from './kv-cache.js'

const magic = 'HZKVCACH'
/** 2: the context's hash. */
const version = 2
const checksumBytes = 32
/** Beside what it holds of each head: a length and a window, three numbers below 2^31. */
const mostHeaderBytes = 1 << 20
const mostHeadBytes = 48

export interface SaveOptions extends JobOptions {
  /** Replace the file that is there. */
  force?: boolean | undefined
}

/** What lies beside the entries and is not the engine's business. */
export interface CacheNotes {
  model: ModelIdentity
  contextHash: string
  ropePositions: number
  fullBytes: number
  pruned: PruneResult | undefined
}

export async function saveCache(
  path: string,
  cache: NativeCache,
  { model, contextHash, fullBytes, ropePositions, pruned }: CacheNotes,
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

export async function restoreCache(
  path: string,
  engine: NativeEngine,
  description: EngineDescription,
  model: ModelIdentity,
  options: JobOptions,
): Promise<KvCache> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    throw new InputError(`${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  try {
    return await readCache(path, file, engine, description, model, options)
  } finally {
    await file.close()
  }
}

async function readCache(
  path: string,
  file: FileHandle,
  engine: NativeEngine,
  description: EngineDescription,
  model: ModelIdentity,
  { signal, onProgress }: JobOptions,
): Promise<KvCache> {
  const { size } = await file.stat()
  const hash = createHash('sha256')
  let at = 0
  const take = async (bytes: number, hashed = true): Promise<Buffer> => {
    if (signal?.aborted) throw abortError()
    const buffer = Buffer.alloc(bytes)
    const { bytesRead } = await file.read(buffer, 0, bytes, at)
    if (bytesRead < bytes) throw truncated(path, size)
    at += bytes
    if (hashed) hash.update(buffer)
    return buffer
  }
  if (size < 16) throw foreign(path)
  const start = await take(16)
  if (start.toString('latin1', 0, 8) !== magic) throw foreign(path)
  if (start.readUInt32LE(8) !== version) {
    throw new InputError(
      `${path} is a cache of version ${start.readUInt32LE(8)}; this headzip reads version ${version}`,
    )
  }
  const headerBytes = start.readUInt32LE(12)
  if (size < 16 + headerBytes + checksumBytes) throw truncated(path, size)
  const most = mostHeaderBytes + mostHeadBytes * kvHeadsOf(description)
  if (headerBytes > most)
    throw impossible(path, `a header of ${headerBytes} bytes, where at most ${most} are possible`)
  const header = parseHeader(path, (await take(headerBytes)).toString('utf8'))
  checkHeader(path, header, description, model)
  const parts = [...partsOf(header, geometryOf(description))]
  const expected = at + payloadBytes(header, parts) + checksumBytes
  if (size < expected) throw truncated(path, size, expected)
  if (size > expected) throw damaged(path)

  const logits = new Float32Array(new Uint8Array(await take(4 * header.vocab)).buffer)
  const { contextHash, sink: prefix, context, position, evicted, fullBytes, ropePositions, pruned } = header
  const { ropes, maxPositions } = ropesFor(description, ropePositions)
  let cache: NativeCache | undefined
  try {
    cache = engine.restore({
      prefix,
      context,
      position,
      evicted,
      lastLogits: logits,
      lengths: Int32Array.from(header.lengths),
      windows: Int32Array.from(header.windows),
      ropes,
      maxPositions,
    })
    for (const { layer, head, from, count, bytes } of parts) {
      cache.write(layer, head, from, count, new Uint8Array(await take(bytes)))
      onProgress?.({ done: at / expected })
    }
    const checksum = await take(checksumBytes, false)
    if (!hash.digest().equals(checksum)) throw damaged(path)
  } catch (error) {
    cache?.close()
    const ours = error instanceof InputError || (isUserError(error) && error.code === 'HEADZIP_ABORTED')
    throw ours ? error : damaged(path, error)
  }
  return new KvCache({
    native: cache,
    model,
    kind: 'evict',
    contextHash,
    scores: undefined,
    pairScores: undefined,
    fullBytes,
    ropePositions,
    peakBytes: cache.info().allocatedBytes,
    pruned: pruned ?? undefined,
  })
}
