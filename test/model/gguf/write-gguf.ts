/** Writes GGUF files for tests, right ones and wrong ones. */

import { writeFileSync } from 'node:fs'

const types = {
  u16: [2, 2, (b: Buffer, v: number) => b.writeUInt16LE(v)],
  u32: [4, 4, (b: Buffer, v: number) => b.writeUInt32LE(v)],
  i32: [5, 4, (b: Buffer, v: number) => b.writeInt32LE(v)],
  f32: [6, 4, (b: Buffer, v: number) => b.writeFloatLE(v)],
} as const

export const u16 = (value: number): Buffer => scalar('u16', value)
export const u32 = (value: number): Buffer => scalar('u32', value)
export const f32 = (value: number): Buffer => scalar('f32', value)
export const flag = (value: boolean): Buffer => Buffer.concat([le32(7), Buffer.from([value ? 1 : 0])])
export const text = (value: string): Buffer => Buffer.concat([le32(8), chars(value)])
export const texts = (values: string[]): Buffer =>
  Buffer.concat([le32(9), le32(8), le64(values.length), ...values.map(chars)])
export const numbers = (type: 'i32' | 'f32', values: number[]): Buffer =>
  Buffer.concat([le32(9), le32(types[type][0]), le64(values.length), ...values.map((v) => raw(type, v))])

export interface WrittenTensor {
  name: string
  /** Innermost first, as the format has it. */
  dimensions: (number | bigint)[]
  type: number
  offset: number | bigint
}

export interface WrittenFile {
  pairs: [key: string, value: Buffer][]
  tensors: WrittenTensor[]
  /** What follows the header; a number: so many zeros. */
  data: number | Buffer
  version?: number
  tensorCount?: bigint
  pairCount?: bigint
}

export function ggufBytes({
  pairs,
  tensors,
  data,
  version = 3,
  tensorCount,
  pairCount,
}: WrittenFile): Buffer {
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    le32(version),
    le64(tensorCount ?? tensors.length),
    le64(pairCount ?? pairs.length),
    ...pairs.map(([key, value]) => Buffer.concat([chars(key), value])),
    ...tensors.map(({ name, dimensions, type, offset }) =>
      Buffer.concat([
        chars(name),
        le32(dimensions.length),
        ...dimensions.map(le64),
        le32(type),
        le64(offset),
      ]),
    ),
  ])
  const start = Math.ceil(header.length / 32) * 32
  return Buffer.concat([
    header,
    Buffer.alloc(start - header.length),
    typeof data === 'number' ? Buffer.alloc(data) : data,
  ])
}

export function writeGguf(file: string, contents: WrittenFile): string {
  writeFileSync(file, ggufBytes(contents))
  return file
}

function raw(type: keyof typeof types, value: number): Buffer {
  const [, bytes, write] = types[type]
  const buffer = Buffer.alloc(bytes)
  write(buffer, value)
  return buffer
}
const scalar = (type: keyof typeof types, value: number): Buffer =>
  Buffer.concat([le32(types[type][0]), raw(type, value)])

function le32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}
export function le64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt(value))
  return buffer
}
const chars = (value: string): Buffer => Buffer.concat([le64(Buffer.byteLength(value)), Buffer.from(value)])
