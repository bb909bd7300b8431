/** Parquet -> Arrow within a bound of memory, in a thread that can be ended. */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { abortError } from '../engine/job.js'
import { InputError, printable } from '../errors.js'
import { formatBytes } from '../format-bytes.js'
import type { DecodeReply, DecodeRequest } from './parquet-worker.js'
import { limitMemory, mostPages, pageBytes } from './wasm-memory.js'

/** Beside the file and what it decodes to. */
const spareBytes = 32 * 2 ** 20
/** Bounds are rounded up to this, so that one thread does for files of about the same size. */
const stepBytes = 64 * 2 ** 20
/** A thread that has grown beyond this is not kept. */
const mostIdleBytes = 64 * 2 ** 20

export interface Decoded {
  rows: number
  /** An Arrow stream; undefined where the file has none of the columns. */
  ipc: Uint8Array | undefined
}

/** @throws InputError when the file is not Parquet, is damaged, or decodes to more than `maxBytes` */
export async function decodeParquet(
  file: string,
  columns: readonly string[],
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Decoded> {
  const { size } = await stat(file)
  // The file, what it decodes to, and the same again as it leaves.
  const needed = Math.ceil((size + 2 * maxBytes + spareBytes) / stepBytes) * stepBytes
  const reply = await ask({ file, columns, maxBytes }, Math.min(needed / pageBytes, mostPages), signal)
  switch (reply.kind) {
    case 'decoded':
      return { rows: reply.rows, ipc: reply.ipc }
    case 'too large':
      throw tooLarge(`${file} holds ${formatBytes(reply.bytes)} of data in ${formatBytes(size)}`, maxBytes)
    case 'too many rows':
      throw tooLarge(`${file} holds ${reply.rows} rows in ${formatBytes(size)}`, maxBytes)
    case 'broken off':
      throw tooLarge(`${file} is damaged, or holds more than its ${formatBytes(size)} tell`, maxBytes)
    case 'damaged':
      throw unreadable(file, reply.why)
  }
}

export function unreadable(file: string, why: string, cause?: unknown): InputError {
  return new InputError(`${file} is not a Parquet file that headzip can read: ${printable(why, 200)}`, {
    cause,
  })
}

/** @param what file and content, as the sentence begins */
export function tooLarge(what: string, maxBytes: number): InputError {
  return new InputError(
    `${what}, and ${formatBytes(maxBytes)} of memory are allowed: allow more with --max-data-bytes (maxDataBytes)`,
  )
}

interface Thread {
  worker: Worker
  pages: number
}

let idle: Thread | undefined

async function ask(request: DecodeRequest, pages: number, signal?: AbortSignal): Promise<DecodeReply> {
  const thread = idle?.pages === pages ? idle : await start(pages)
  if (thread === idle) idle = undefined
  const { worker } = thread
  worker.ref()
  let reply: DecodeReply | undefined
  try {
    worker.postMessage(request)
    ;[reply] = (await once(worker, 'message', signal ? { signal } : {})) as [DecodeReply]
    return reply
  } catch (error) {
    if (signal?.aborted) throw abortError()
    // The decoder's module may trap outside the call that waits for it, which ends the thread; other faults are ours.
    if (error instanceof Error && error.name === 'RuntimeError') return { kind: 'broken off' }
    throw error
  } finally {
    if (reply?.kind === 'decoded' && reply.heldBytes <= mostIdleBytes && !idle) {
      worker.unref()
      idle = thread
    } else void worker.terminate()
  }
}

async function start(pages: number): Promise<Thread> {
  const module = await moduleOf(pages)
  // Of the build, for src, too: Node 20 runs no TypeScript.
  const file = new URL('../../dist/data/parquet-worker.js', import.meta.url)
  // Options of the process, such as --input-type, need not suit a thread.
  return { worker: new Worker(file, { workerData: module, execArgv: [] }), pages }
}

let compiled: { pages: number; module: Promise<WebAssembly.Module> } | undefined

/** Compiled once for all threads: 5 MB of WebAssembly. */
function moduleOf(pages: number): Promise<WebAssembly.Module> {
  if (compiled?.pages !== pages) {
    const file = createRequire(import.meta.url).resolve('parquet-wasm/esm/parquet_wasm_bg.wasm')
    compiled = { pages, module: WebAssembly.compile(limitMemory(readFileSync(file), pages)) }
  }
  return compiled.module
}
