/** Reads a cache from a file (cache-format.ts). */

import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { NativeCache, NativeEngine } from '../engine/binding.js'
import { abortError, type JobOptions } from '../engine/job.js'
import { InputError, isUserError } from '../errors.js'
import { type EngineDescription, ropesFor } from '../model/describe.js'
import { checksumBytes, magic, partsOf, payloadBytes, version } from './cache-format.js'
import {
  checkHeader,
  damaged,
  foreign,
  geometryOf,
  impossible,
  kvHeadsOf,
  parseHeader,
  truncated,
} from './cache-header.js'
import { KvCache, type ModelIdentity } from './kv-cache.js'

/** Beside what it holds of each head: a length and a window, three numbers below 2^31. */
const mostHeaderBytes = 1 << 20
const mostHeadBytes = 48

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
