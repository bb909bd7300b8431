import { writeFileSync } from 'node:fs'

/** A safetensors file from a header (an object, or the very text) and the bytes that follow it. */
export function writeSafetensors(file: string, header: object | string, data = Buffer.alloc(0)): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  writeFileSync(file, Buffer.concat([length, json, data]))
  return file
}
