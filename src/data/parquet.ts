import { readFile } from 'node:fs/promises'
import { StructRow, type Table, tableFromIPC, Vector } from 'apache-arrow'
import { InputError } from '../errors.js'
import type { Row } from './rows.js'

/**
 * @param columns those to turn into JavaScript values; the others stay in their Arrow form
 * @returns rows in the file's order; a column that the file lacks is absent from every row
 * @throws InputError when the file is not Parquet, or is damaged
 */
export async function readParquetRows(file: string, columns: readonly string[]): Promise<Row[]> {
  const table = await readTable(file)
  const present = columns.flatMap((name) => {
    const vector = table.getChild(name)
    return vector ? [{ name, vector }] : []
  })
  return Array.from({ length: table.numRows }, (_, row) =>
    Object.fromEntries(present.map(({ name, vector }) => [name, plain(vector.get(row))])),
  )
}

async function readTable(file: string): Promise<Table> {
  // The module compiles 5 MB of WebAssembly when it is loaded: only those who read Parquet pay for that.
  const { readParquet } = await import('parquet-wasm')
  try {
    return tableFromIPC(readParquet(await readFile(file)).intoIPCStream())
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InputError(`${file} is not a Parquet file that headzip can read: ${why}`, { cause: error })
  }
}

/** Lists, structs and 64-bit integers as JSON would hold them. */
function plain(value: unknown): unknown {
  if (value instanceof Vector) return Array.from(value as Iterable<unknown>, plain)
  if (value instanceof StructRow)
    return Object.fromEntries(Object.entries(value.toJSON()).map(([name, each]) => [name, plain(each)]))
  return typeof value === 'bigint' ? Number(value) : value
}
