import { InputError } from '../errors.js'

/** A row as its file gives it, unchecked. */
export type Row = Readonly<Record<string, unknown>>

/** The field as a text. @throws InputError naming file, row and column */
export function stringOf(row: Row, column: string, where: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw new InputError(`${where}: ${column} must be a string, it is ${kindOf(value)}`)
}

/** The field as a list of strings. @throws InputError naming file, row and column */
export function stringsOf(row: Row, column: string, where: string): string[] {
  const value = row[column]
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value as string[]
  throw new InputError(`${where}: ${column} must be a list of strings, it is ${kindOf(value)}`)
}

/** The field as a list of strings, one an entry of `count`; a lone string stands for all of them. */
export function stringsForEach(row: Row, column: string, count: number, where: string): string[] {
  const value = row[column]
  if (typeof value === 'string') return Array.from({ length: count }, () => value)
  return inNumber(stringsOf(row, column, where), column, count, where)
}

/** The field as a list with an entry for each question. @throws InputError naming file, row and column */
export function listForEach(row: Row, column: string, count: number, where: string): unknown[] {
  const value: unknown = row[column]
  if (typeof value === 'string') return Array.from({ length: count }, () => value)
  if (!Array.isArray(value))
    throw new InputError(`${where}: ${column} must be a list, it is ${kindOf(value)}`)
  return inNumber(value as unknown[], column, count, where)
}

/** The field as a list of objects. @throws InputError naming file, row and column */
export function rowsOf(row: Row, column: string, where: string): Row[] {
  const value = row[column]
  if (Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null))
    return value as Row[]
  throw new InputError(`${where}: ${column} must be a list of objects, it is ${kindOf(value)}`)
}

function inNumber<T>(values: T[], column: string, count: number, where: string): T[] {
  if (values.length === count) return values
  throw new InputError(`${where}: ${column} has ${values.length} entries for ${count} questions`)
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'missing'
  if (!Array.isArray(value)) return `a ${typeof value}`
  const odd = value.find((each) => typeof each !== 'string') as unknown
  return `a list that holds ${odd === null ? 'null' : `a ${typeof odd}`}`
}
