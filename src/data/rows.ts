import { InputError } from '../errors.js'

/** A row as its file gives it, unchecked. */
export type Row = Readonly<Record<string, unknown>>

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
  const strings = stringsOf(row, column, where)
  if (strings.length !== count) {
    throw new InputError(`${where}: ${column} has ${strings.length} entries for ${count} questions`)
  }
  return strings
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'missing'
  if (!Array.isArray(value)) return `a ${typeof value}`
  const odd = value.find((each) => typeof each !== 'string') as unknown
  return `a list that holds ${odd === null ? 'null' : `a ${typeof odd}`}`
}
