/** Reads safetensors headers: what lies where, checked before anyone maps the file. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { InputError, printable } from '../errors.js'
import { JsonError, jsonMembers, parseJson } from './json-members.js'

/** A header beyond this is damage or an attack: it has room for 60,000 tensors, published files hold a few thousand. */
const maxHeaderBytes = 8 * 2 ** 20

/** Bytes of one tensor's entry; a real one has less than 200. */
const maxEntryBytes = 4096

/** Holds text about the file, of any length. Nothing here needs it, so a long one is not even parsed. */
const metadataKey = '__metadata__'
const maxMetadataBytes = 256 * 2 ** 10

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
    const tensors = readEntries(json, file, (name, entry) => readEntry(name, entry, file, dataStart, size))
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
  let handle: number
  try {
    // Without O_NONBLOCK a named pipe would hold us here until somebody writes into it.
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new InputError(`${file} cannot be opened: ${(error as Error).message}`, { cause: error })
  }
  if (fstatSync(handle).isFile()) return handle
  closeSync(handle)
  throw new InputError(`${file} is not a regular file`)
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

function readEntries(
  json: Buffer,
  file: string,
  read: (name: string, entry: unknown) => StoredTensor,
): Map<string, StoredTensor> {
  if (/^\s*[^\s{]/.test(json.toString('latin1', 0, 64))) {
    throw new InputError(`${file} has a header that is not a JSON object`)
  }
  const tensors = new Map<string, StoredTensor>()
  let metadata = false
  try {
    for (const { key, value } of jsonMembers(json)) {
      if (tensors.has(key) || (metadata && key === metadataKey)) {
        throw new InputError(`${file} names the tensor ${printable(key)} twice`)
      }
      if (key === metadataKey) {
        metadata = true
        if (value.length <= maxMetadataBytes) parseJson(value)
      } else if (value.length <= maxEntryBytes) tensors.set(key, read(key, parseJson(value)))
      else
        throw new InputError(
          `${file}: tensor ${printable(key)} is described in ${value.length} bytes, more than ${maxEntryBytes}`,
        )
    }
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new InputError(`${file} has a header that is not JSON: ${error.message}`, { cause: error })
  }
  return tensors
}

function readEntry(
  name: string,
  entry: unknown,
  file: string,
  dataStart: number,
  size: number,
): StoredTensor {
  const fail = (why: string): InputError => new InputError(`${file}: tensor ${printable(name)} ${why}`)
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>
  if (typeof dtype !== 'string') throw fail('has no dtype')
  if (!Object.hasOwn(elementBits, dtype)) throw fail(`has the unknown dtype ${printable(dtype.slice(0, 40))}`)
  if (!Array.isArray(shape) || !shape.every(isCount)) throw fail('has no shape of non-negative integers')
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw fail('has no pair of data_offsets')
  const [begin, end] = offsets as [number, number]
  if (end < begin) throw fail(`ends at byte ${end}, before its start at ${begin}`)
  const need = byteCount(shape, dtype as TensorDtype)
  if (need !== end - begin) {
    throw fail(
      `of shape [${shape.slice(0, 8).join(', ')}] in ${dtype} needs ${need} bytes, its data_offsets span ${end - begin}`,
    )
  }
  if (end > size - dataStart) {
    throw new InputError(
      `${file} is truncated: tensor ${printable(name)} ends ${end - (size - dataStart)} bytes past the end of the file`,
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
      throw new InputError(
        `${file}: tensors ${printable(previous.name)} and ${printable(tensor.name)} overlap`,
      )
    }
  }
}
