/** Files of caches with headers that were tampered with. */

import { createHash } from 'node:crypto'

type Header = Record<string, unknown>

export function changedHeader(bytes: Buffer, change: (header: Header) => void) {
  const end = 16 + bytes.readUInt32LE(12)
  const header = JSON.parse(bytes.toString('utf8', 16, end)) as Header
  change(header)
  const text = Buffer.from(JSON.stringify(header))
  const start = Buffer.from(bytes.subarray(0, 16))
  start.writeUInt32LE(text.length, 12)
  return { start, text, header, payload: bytes.subarray(end, -32) }
}

/** The file with its header changed and its checksum right. */
export function withHeader(bytes: Buffer, change: (header: Header) => void): Buffer {
  const { start, text, payload } = changedHeader(bytes, change)
  const body = Buffer.concat([start, text, payload])
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}
