/**
 * Reads GGUF headers (github.com/ggml-org/ggml/blob/master/docs/gguf.md): what lies where, checked before anyone maps
 * the file. A header costs a 64 KiB window and its short values, whatever it announces.
 */

import { closeSync, fstatSync, openSync } from 'node:fs'
import { InputError } from '../../errors.js'
import { Cursor } from './cursor.js'
import { type GgufValue, Metadata, readValue } from './metadata.js'
import { type TensorType, tensorType } from './types.js'

const magic = 0x46554747 // GGUF
/** Real headers, vocabulary included, end before 20 MiB. */
const mostHeaderBytes = 32 * 2 ** 20
export const mostTensors = 2 ** 16
const mostPairs = 2 ** 16
const mostDimensions = 4

export interface GgufTensor {
  name: string
  file: string
  type: TensorType
  /** Outermost first, as everywhere else here; the file lists the innermost first. */
  shape: number[]
  /** From the start of the file. */
  offset: number
  bytes: number
}

export interface GgufHeader {
  file: string
  metadata: Metadata
  tensors: Map<string, GgufTensor>
  /** Bytes before the tensors' data. */
  headerBytes: number
}

/** @throws InputError naming the file, and the tensor or key where there is one */
export function readGgufHeader(file: string): GgufHeader {
  const handle = openFile(file)
  try {
    const size = fstatSync(handle).size
    const cursor = new Cursor(handle, file, Math.min(size, mostHeaderBytes))
    readPreamble(cursor, size)
    const tensorCount = cursor.count('tensors', mostTensors)
    const pairCount = cursor.count('metadata pairs', mostPairs)
    const metadata = new Metadata(file, readPairs(cursor, pairCount))
    const alignment = readAlignment(metadata)
    const infos = Array.from({ length: tensorCount }, () => readInfo(cursor))
    const dataStart = Math.ceil(cursor.at / alignment) * alignment
    const tensors = new Map<string, GgufTensor>()
    for (const info of infos) {
      if (tensors.has(info.name)) throw new InputError(`${file} names the tensor ${info.name} twice`)
      tensors.set(info.name, locateTensor(info, { file, size, dataStart, alignment }))
    }
    checkOverlaps([...tensors.values()], file)
    return { file, metadata, tensors, headerBytes: cursor.at }
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

function readPreamble(cursor: Cursor, size: number): void {
  const { file } = cursor
  if (size < 24 || cursor.u32() !== magic)
    throw new InputError(`${file} is not a GGUF file: it does not begin with GGUF`)
  const version = cursor.u32()
  if (version === 0x02000000 || version === 0x03000000)
    throw new InputError(`${file} is a big-endian GGUF file; headzip reads little-endian ones`)
  if (version !== 2 && version !== 3)
    throw new InputError(`${file} is of GGUF version ${version}; headzip reads versions 2 and 3`)
}

function readPairs(cursor: Cursor, count: number): Map<string, GgufValue> {
  const pairs = new Map<string, GgufValue>()
  for (let i = 0; i < count; i++) {
    const key = cursor.text()
    if (pairs.has(key)) throw new InputError(`${cursor.file} has the metadata key ${key.slice(0, 80)} twice`)
    pairs.set(key, readValue(cursor, key.slice(0, 80)))
  }
  return pairs
}

function readAlignment(metadata: Metadata): number {
  const alignment = metadata.number('general.alignment', 32)
  if (Number.isInteger(alignment) && alignment >= 8 && alignment <= 2 ** 20 && alignment % 8 === 0)
    return alignment
  throw metadata.mustBe('general.alignment', 'a multiple of 8 up to 1 MiB')
}

interface TensorInfo {
  name: string
  /** Innermost first. */
  dimensions: bigint[]
  type: number
  offset: bigint
}

function readInfo(cursor: Cursor): TensorInfo {
  const name = cursor.text()
  const count = cursor.u32()
  if (count > mostDimensions) {
    const sentence = `tensor ${name.slice(0, 80)} has ${count} dimensions, more than the ${mostDimensions} that are allowed`
    throw new InputError(`${cursor.file}: ${sentence}`)
  }
  const dimensions = Array.from({ length: count }, () => cursor.u64())
  return { name, dimensions, type: cursor.u32(), offset: cursor.u64() }
}

function locateTensor(
  info: TensorInfo,
  within: { file: string; size: number; dataStart: number; alignment: number },
): GgufTensor {
  const { file, size, dataStart, alignment } = within
  const name = info.name.slice(0, 80)
  const fail = (why: string): InputError => new InputError(`${file}: tensor ${name} ${why}`)
  const type = tensorType(info.type)
  if (!type) throw fail(`has the unknown type ${info.type}`)
  // As exact integers: no product of dimensions overflows.
  const elements = info.dimensions.reduce((product, size) => product * size, 1n)
  if (elements === 0n) throw fail(`of shape [${info.dimensions.reverse().join(', ')}] holds nothing`)
  if ((info.dimensions[0] ?? 1n) % BigInt(type.elements) !== 0n)
    throw fail(
      `has rows of ${info.dimensions[0] ?? 1n}, which ${type.name} cannot fill with blocks of ${type.elements}`,
    )
  const bytes = (elements / BigInt(type.elements)) * BigInt(type.bytes)
  if (info.offset % BigInt(alignment) !== 0n)
    throw fail(`starts at ${info.offset}, which is not a multiple of the alignment ${alignment}`)
  const end = BigInt(dataStart) + info.offset + bytes
  if (end > BigInt(size)) {
    const past = end - BigInt(size)
    throw new InputError(`${file} is truncated: tensor ${name} ends ${past} bytes past the end of the file`)
  }
  return {
    name: info.name,
    file,
    type,
    shape: info.dimensions.map(Number).reverse(),
    offset: dataStart + Number(info.offset),
    bytes: Number(bytes),
  }
}

function checkOverlaps(tensors: GgufTensor[], file: string): void {
  const sorted = tensors.sort((a, b) => a.offset - b.offset)
  for (const [i, tensor] of sorted.entries()) {
    const previous = sorted[i - 1]
    if (previous && previous.offset + previous.bytes > tensor.offset)
      throw new InputError(`${file}: tensors ${previous.name} and ${tensor.name} overlap`)
  }
}
