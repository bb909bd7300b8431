import { stat } from 'node:fs/promises'
import { StructRow, tableFromIPC, Vector } from 'apache-arrow'
import { InputError } from '../errors.js'
import { type Decoded, decodeParquet, tooLarge, unreadable } from './parquet-decoder.js'
import type { Row } from './rows.js'

export interface ParquetOptions {
  /** Most bytes of memory that a file's columns may decode to; 256 MiB, or 16 times the file, unless given. */
  maxDataBytes?: number | undefined
  signal?: AbortSignal | undefined
}

/** Texts pack to a tenth and seldom less; a small file may as well be much the same line. */
const defaultBytes = { least: 256 * 2 ** 20, perByte: 16 }

/**
 * @param columns those to decode; the others are passed over
 * @returns rows in the file's order; a column that the file lacks is absent from every row
 * @throws InputError when the file is not Parquet, is damaged, or decodes to more than is allowed
 */
export async function readParquetRows(
  file: string,
  columns: readonly string[],
  { maxDataBytes, signal }: ParquetOptions = {},
): Promise<Row[]> {
  const { least, perByte } = defaultBytes
  const maxBytes = maxDataBytes ?? Math.max(least, perByte * (await stat(file)).size)
  const decoded = await decodeParquet(file, columns, maxBytes, signal)
  try {
    return rowsOf(decoded, columns, new Memory(maxBytes, file))
  } catch (error) {
    if (error instanceof InputError) throw error
    // Parquet has types that Arrow's JavaScript does not know.
    throw unreadable(file, error instanceof Error ? error.message : String(error), error)
  }
}

function rowsOf({ rows, ipc }: Decoded, columns: readonly string[], memory: Memory): Row[] {
  const table = ipc && tableFromIPC(ipc)
  const present = columns.flatMap((name) => {
    const vector = table?.getChild(name)
    return vector ? [{ name, vector }] : []
  })
  return Array.from({ length: rows }, (_, row) => {
    memory.take(bytesOf.object)
    return Object.fromEntries(present.map(({ name, vector }) => [name, plain(vector.get(row), memory)]))
  })
}

/** What V8 spends on a value, about: Arrow packs a number of a list into a byte, where JavaScript takes eight. */
const bytesOf = { value: 8, text: 24, list: 32, object: 64 }

class Memory {
  private left: number

  constructor(
    private readonly maxBytes: number,
    private readonly file: string,
  ) {
    this.left = maxBytes
  }

  take(bytes: number): void {
    this.left -= bytes
    if (this.left < 0) throw tooLarge(`${this.file} holds more values than fit`, this.maxBytes)
  }
}

/** Lists, structs and 64-bit integers as JSON would hold them. */
function plain(value: unknown, memory: Memory): unknown {
  memory.take(bytesOf.value)
  if (value instanceof Vector) {
    memory.take(bytesOf.list)
    return Array.from(value as Iterable<unknown>, (each) => plain(each, memory))
  }
  if (value instanceof StructRow) {
    memory.take(bytesOf.object)
    const fields = Object.entries(value.toJSON())
    return Object.fromEntries(fields.map(([name, each]) => [name, plain(each, memory)]))
  }
  if (typeof value === 'string') memory.take(bytesOf.text + value.length)
  return typeof value === 'bigint' ? Number(value) : value
}
