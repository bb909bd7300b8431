/** Key-value pairs of a GGUF header. Arrays stay in the file until they are asked for. */

import { closeSync, openSync } from 'node:fs'
import { InputError } from '../../errors.js'
import { Cursor } from './cursor.js'

/** Vocabularies of published models end near 262,144. */
const mostElements = 2 ** 20

export interface GgufArray {
  type: number
  length: number
  /** Byte of the file where the first element starts, and where the array ends. */
  start: number
  end: number
}

type Scalar = number | bigint | boolean | string
export type GgufValue = Scalar | GgufArray

const kinds: readonly (undefined | { bytes: number; read(bytes: Buffer, at: number): Scalar })[] = [
  { bytes: 1, read: (bytes, at) => bytes.readUInt8(at) },
  { bytes: 1, read: (bytes, at) => bytes.readInt8(at) },
  { bytes: 2, read: (bytes, at) => bytes.readUInt16LE(at) },
  { bytes: 2, read: (bytes, at) => bytes.readInt16LE(at) },
  { bytes: 4, read: (bytes, at) => bytes.readUInt32LE(at) },
  { bytes: 4, read: (bytes, at) => bytes.readInt32LE(at) },
  { bytes: 4, read: (bytes, at) => bytes.readFloatLE(at) },
  { bytes: 1, read: (bytes, at) => bytes.readUInt8(at) !== 0 },
  undefined,
  undefined,
  { bytes: 8, read: (bytes, at) => bytes.readBigUInt64LE(at) },
  { bytes: 8, read: (bytes, at) => bytes.readBigInt64LE(at) },
  { bytes: 8, read: (bytes, at) => bytes.readDoubleLE(at) },
]
const textType = 8
const arrayType = 9

/** @param key for messages */
export function readValue(cursor: Cursor, key: string): GgufValue {
  const type = cursor.u32()
  return type === arrayType ? readArray(cursor, key) : readScalar(cursor, type, key)
}

function readScalar(cursor: Cursor, type: number, key: string): Scalar {
  if (type === textType) return cursor.text()
  const kind = kinds[type]
  if (!kind) throw new InputError(`${cursor.file}: ${key} has the unknown value type ${type}`)
  return cursor.take(kind.bytes, kind.read)
}

function readArray(cursor: Cursor, key: string): GgufArray {
  const type = cursor.u32()
  if (type === arrayType)
    throw new InputError(`${cursor.file}: ${key} is an array of arrays, which no model needs`)
  const bytes = type === textType ? 8 : kinds[type]?.bytes
  if (bytes === undefined) throw new InputError(`${cursor.file}: ${key} has the unknown element type ${type}`)
  const length = cursor.count(`elements of ${key}`, Math.floor(Math.max(0, cursor.left - 8) / bytes))
  const start = cursor.at
  if (type !== textType) cursor.skip(length * bytes)
  else for (let i = 0; i < length; i++) cursor.skip(cursor.count('bytes of text', cursor.left))
  return { type, length, start, end: cursor.at }
}

export class Metadata {
  constructor(
    readonly file: string,
    readonly values: ReadonlyMap<string, GgufValue>,
  ) {}

  has(key: string): boolean {
    return this.values.has(key)
  }

  text(key: string, fallback?: string): string {
    const value = this.values.get(key) ?? fallback
    if (typeof value === 'string') return value
    throw this.mustBe(key, 'a text')
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.values.get(key) ?? fallback
    if (typeof value === 'boolean') return value
    throw this.mustBe(key, 'true or false')
  }

  /** A finite number. An array of equal ones, as some files write what may differ between layers, counts as one. */
  number(key: string, fallback?: number): number {
    let value: GgufValue | undefined = this.values.get(key) ?? fallback
    if (typeof value === 'object') {
      const [first, ...others] = this.numbers(key)
      if (others.some((other) => other !== first))
        throw new InputError(`${this.file}: ${key} differs between layers, which headzip does not support`)
      value = first
    }
    const found = typeof value === 'bigint' ? Number(value) : value
    if (typeof found === 'number' && Number.isFinite(found)) return found
    throw this.mustBe(key, 'a number')
  }

  /** @throws InputError unless it is an array of numbers */
  numbers(key: string): number[] {
    const array = this.array(key)
    const kind = kinds[array.type]
    if (!kind) throw this.mustBe(key, 'an array of numbers')
    return this.read(array, (cursor) => Number(cursor.take(kind.bytes, kind.read)))
  }

  /** @throws InputError unless it is an array of texts */
  texts(key: string): string[] {
    const array = this.array(key)
    if (array.type !== textType) throw this.mustBe(key, 'an array of texts')
    return this.read(array, (cursor) => cursor.text())
  }

  mustBe(key: string, expected: string): InputError {
    const value = this.values.get(key)
    const shown =
      typeof value === 'object' ? `an array of ${value.length} elements` : `'${String(value).slice(0, 80)}'`
    return new InputError(
      `${this.file}: ${key} must be ${expected}, ${value === undefined ? 'it is missing' : `got ${shown}`}`,
    )
  }

  private array(key: string): GgufArray {
    const value = this.values.get(key)
    if (typeof value !== 'object') throw this.mustBe(key, 'an array')
    if (value.length > mostElements) throw this.mustBe(key, `an array of at most ${mostElements} elements`)
    return value
  }

  private read<T>({ start, end, length }: GgufArray, next: (cursor: Cursor) => T): T[] {
    const handle = openSync(this.file, 'r')
    try {
      const cursor = new Cursor(handle, this.file, end)
      cursor.at = start
      return Array.from({ length }, () => next(cursor))
    } finally {
      closeSync(handle)
    }
  }
}
