/** Reads safetensors headers: what lies where, checked before anyone maps the file. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { InputError } from '../errors.js'
import { duplicateKey } from './json-keys.js'

/** A header beyond this is damage or an attack; the largest published ones are a few MiB. */
const maxHeaderBytes = 32 * 2 ** 20

/** Bits of one element, by the format's type name (github.com/huggingface/safetensors, tensor.rs). */
const elementBits = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
} as const
export type TensorDtype = keyof typeof elementBits

export interface StoredTensor {
  name: string
  file: string
  dtype: TensorDtype
  /** Outermost first; empty for a scalar. */
  shape: number[]
  /** From the start of the file. */
  offset: number
  bytes: number
}

export interface SafetensorsHeader {
  tensors: Map<string, StoredTensor>
  /** The header's JSON, byte for byte. */
  json: Buffer
}

/** @throws InputError naming the file, and the tensor where there is one */
export function readSafetensorsHeader(file: string): SafetensorsHeader {
  const handle = openFile(file)
  try {
    const size = fstatSync(handle).size
    const json = readHeaderBytes(handle, file, size)
    const dataStart = 8 + json.length
    const tensors = new Map<string, StoredTensor>()
    for (const [name, entry] of Object.entries(parseHeader(json, file))) {
      if (name !== '__metadata__') tensors.set(name, readEntry(name, entry, file, dataStart, size))
    }
    checkOverlaps(tensors, file)
    return { tensors, json }
  } finally {
    closeSync(handle)
  }
}

/** The bytes of one tensor. @throws InputError when the file ends first */
export function readTensorBytes(tensor: StoredTensor): Buffer {
  const handle = openFile(tensor.file)
  try {
    const bytes = Buffer.alloc(tensor.bytes)
    if (readSync(handle, bytes, 0, tensor.bytes, tensor.offset) < tensor.bytes) {
      throw new InputError(`${tensor.file} is truncated: tensor ${tensor.name} ends past the end of the file`)
    }
    return bytes
  } finally {
    closeSync(handle)
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r')
  } catch (error) {
    throw new InputError(`${file} cannot be opened: ${(error as Error).message}`, { cause: error })
  }
}

function readHeaderBytes(handle: number, file: string, size: number): Buffer {
  const prefix = Buffer.alloc(8)
  if (size < 8 || readSync(handle, prefix, 0, 8, 0) < 8) {
    throw new InputError(
      `${file} is not a safetensors file: it has ${size} bytes, its header needs at least 8`,
    )
  }
  const length = prefix.readBigUInt64LE()
  if (length > BigInt(maxHeaderBytes)) {
    throw new InputError(
      `${file} announces a header of ${length} bytes, more than the ${maxHeaderBytes} that are allowed`,
    )
  }
  if (length > BigInt(size - 8)) {
    throw new InputError(
      `${file} is truncated: its header needs ${length} bytes, ${size - 8} are left in the file`,
    )
  }
  const json = Buffer.alloc(Number(length))
  if (readSync(handle, json, 0, json.length, 8) < json.length)
    throw new InputError(`${file} ended while its header was read`)
  return json
}

function parseHeader(json: Buffer, file: string): Record<string, unknown> {
  let header: unknown
  const text = json.toString('utf8')
  try {
    header = JSON.parse(text)
  } catch (error) {
    throw new InputError(`${file} has a header that is not JSON: ${(error as Error).message}`, {
      cause: error,
    })
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new InputError(`${file} has a header that is not a JSON object`)
  }
  const twice = duplicateKey(text)
  if (twice !== undefined) throw new InputError(`${file} names the tensor ${twice} twice`)
  return header as Record<string, unknown>
}

function readEntry(
  name: string,
  entry: unknown,
  file: string,
  dataStart: number,
  size: number,
): StoredTensor {
  const fail = (why: string): InputError => new InputError(`${file}: tensor ${name} ${why}`)
  const { dtype, shape, data_offsets: span } = (entry ?? {}) as Record<string, unknown>
  if (typeof dtype !== 'string') throw fail('has no dtype')
  if (!Object.hasOwn(elementBits, dtype)) throw fail(`has the unknown dtype ${dtype.slice(0, 40)}`)
  if (!Array.isArray(shape) || !shape.every(isCount)) throw fail('has no shape of non-negative integers')
  if (!Array.isArray(span) || span.length !== 2 || !span.every(isCount))
    throw fail('has no pair of data_offsets')
  const [begin, end] = span as [number, number]
  if (end < begin) throw fail(`ends at byte ${end}, before its start at ${begin}`)
  const need = byteCount(shape, dtype as TensorDtype)
  if (need !== end - begin) {
    throw fail(
      `of shape [${shape.join(', ')}] in ${dtype} needs ${need} bytes, its data_offsets span ${end - begin}`,
    )
  }
  if (end > size - dataStart) {
    throw new InputError(
      `${file} is truncated: tensor ${name} ends ${end - (size - dataStart)} bytes past the end of the file`,
    )
  }
  return { name, file, dtype: dtype as TensorDtype, shape, offset: dataStart + begin, bytes: end - begin }
}

/** Infinity where the product leaves the integers that a double holds exactly: no file is that large. */
function byteCount(shape: number[], dtype: TensorDtype): number {
  if (shape.includes(0)) return 0
  let elements = 1
  for (const dim of shape) {
    elements *= dim
    if (elements > Number.MAX_SAFE_INTEGER / 64) return Number.POSITIVE_INFINITY
  }
  return (elements * elementBits[dtype]) / 8
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function checkOverlaps(tensors: Map<string, StoredTensor>, file: string): void {
  const filled = [...tensors.values()].filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset)
  for (const [i, tensor] of filled.entries()) {
    const previous = filled[i - 1]
    if (previous && previous.offset + previous.bytes > tensor.offset) {
      throw new InputError(`${file}: tensors ${previous.name} and ${tensor.name} overlap`)
    }
  }
}
