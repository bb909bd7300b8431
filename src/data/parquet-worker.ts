/**
 * Decodes Parquet files in a thread of its own, within the memory that its module may take (parquet-decoder.ts): whatever
 * a file claims of itself, and however it is packed, decoding then ends in an error that this thread does not survive.
 */

import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { initSync, ParquetFile, type ParquetMetaData, readParquet, wasmMemory } from 'parquet-wasm/esm'

export interface DecodeRequest {
  file: string
  /** Those to decode, where the file has them. */
  columns: readonly string[]
  maxBytes: number
}

export type DecodeReply =
  /** @property ipc an Arrow stream; absent where the file has none of the columns */
  | { kind: 'decoded'; rows: number; ipc: Uint8Array | undefined; heldBytes: number }
  | { kind: 'too large'; bytes: number }
  | { kind: 'too many rows'; rows: number }
  /** No more memory, or a fault that the decoder did not expect. */
  | { kind: 'broken off' }
  | { kind: 'damaged'; why: string }

/** A row costs at least this much as a JavaScript object. */
export const rowBytes = 64

initSync({ module: workerData as WebAssembly.Module })
parentPort!.on('message', (request: DecodeRequest) => {
  void answer(request).then((reply) => {
    const moved = reply.kind === 'decoded' && reply.ipc ? [reply.ipc.buffer as ArrayBuffer] : []
    parentPort!.postMessage(reply, moved)
  })
})

async function answer(request: DecodeRequest): Promise<DecodeReply> {
  try {
    return await decode(request)
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError)
      return { kind: 'broken off' }
    return { kind: 'damaged', why: error instanceof Error ? error.message : String(error) }
  }
}

async function decode({ file, columns, maxBytes }: DecodeRequest): Promise<DecodeReply> {
  const bytes = readFileSync(file)
  const parquet = await ParquetFile.fromFile(new Blob([bytes]))
  const { rows, sizes } = claimsOf(parquet.metadata())
  parquet.free()
  const present = columns.filter((name) => sizes.has(name))
  const claimed = present.reduce((sum, name) => sum + sizes.get(name)!, 0)
  if (claimed > maxBytes) return { kind: 'too large', bytes: claimed }
  if (rows * rowBytes > maxBytes) return { kind: 'too many rows', rows }
  const ipc = present.length === 0 ? undefined : readParquet(bytes, { columns: present }).intoIPCStream()
  // What was claimed may have been too little.
  if (ipc && ipc.length > maxBytes) return { kind: 'too large', bytes: ipc.length }
  return { kind: 'decoded', rows, ipc, heldBytes: wasmMemory().buffer.byteLength }
}

/** What the footer says: rows, and bytes of each top-level column before compression. */
function claimsOf(metadata: ParquetMetaData): { rows: number; sizes: Map<string, number> } {
  const sizes = new Map<string, number>()
  let rows = 0
  for (const group of metadata.rowGroups()) {
    rows += group.numRows()
    for (const column of group.columns()) {
      const name = column.columnPath()[0]!
      sizes.set(name, (sizes.get(name) ?? 0) + column.uncompressedSize())
      column.free()
    }
    group.free()
  }
  metadata.free()
  return { rows, sizes }
}
