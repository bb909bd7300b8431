/**
 * What callers hand to public functions, checked before anything is done with it; types alone do not reach JavaScript.
 * By hand, as a schema library has sentences and error classes of its own.
 */

import { nearest } from './did-you-mean.js'
import { invalidParameter, parameterError } from './errors.js'

interface Rule {
  expected: string
  is: (value: unknown) => boolean
  /** Of a value of that kind. */
  fits?: (value: never) => boolean
}

const string = (value: unknown): boolean => typeof value === 'string'
const number = (value: unknown): boolean => typeof value === 'number'

const rules = {
  string: { expected: 'a string', is: string },
  text: { expected: 'a string that is not empty', is: string, fits: (value: string) => value !== '' },
  path: {
    expected: 'a path',
    is: string,
    fits: (value: string) => value !== '' && !value.includes('\0'),
  },
  number: { expected: 'a finite number', is: number, fits: (value: number) => Number.isFinite(value) },
  ratio: {
    expected: 'a number in (0, 1]',
    is: number,
    fits: (value: number) => value > 0 && value <= 1,
  },
  count: {
    expected: 'a whole number of at least 0',
    is: number,
    fits: (value: number) => Number.isSafeInteger(value) && value >= 0,
  },
  positive: {
    expected: 'a positive integer',
    is: number,
    fits: (value: number) => Number.isSafeInteger(value) && value > 0,
  },
  bytes: {
    expected: 'a positive whole number of bytes',
    is: number,
    fits: (value: number) => Number.isSafeInteger(value) && value > 0,
  },
  integer: {
    expected: 'a whole number',
    is: number,
    fits: (value: number) => Number.isSafeInteger(value),
  },
  flag: { expected: 'true or false', is: (value) => typeof value === 'boolean' },
  list: { expected: 'a list', is: (value) => Array.isArray(value) },
  object: {
    expected: 'an object',
    is: (value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value),
  },
  function: { expected: 'a function', is: (value) => typeof value === 'function' },
  signal: { expected: 'an AbortSignal', is: (value) => value instanceof AbortSignal },
  floats: { expected: 'a Float32Array', is: (value) => value instanceof Float32Array },
  ids: { expected: 'an Int32Array', is: (value) => value instanceof Int32Array },
  mask: { expected: 'a Uint8Array', is: (value) => value instanceof Uint8Array },
  numbers: {
    expected: 'a list of numbers, none of them NaN',
    is: (value) =>
      Array.isArray(value) ? value.every(number) : ArrayBuffer.isView(value) && 'length' in value,
    fits: (values: ArrayLike<number> & { includes(value: number): boolean }) => !values.includes(Number.NaN),
  },
} satisfies Record<string, Rule>

type Base = keyof typeof rules
/** `?`: may be left out; `|null`: may be null. */
export type Kind = Base | `${Base}?` | `${Base}|null`

/**
 * @param words in place of the kind's own words
 * @throws TypeError for another kind of value, RangeError for a value that the kind excludes
 */
export function check(value: unknown, name: string, kind: Kind, words?: string): void {
  const [base = '', mark] = kind.split(/(?=\?|\|)/)
  if ((mark === '?' && value === undefined) || (mark === '|null' && value === null)) return
  const rule: Rule = rules[base as Base]
  const expected = words ?? (mark === '|null' ? `${rule.expected} or null` : rule.expected)
  if (!rule.is(value)) throw invalidParameter(name, expected, value, 'type')
  if (rule.fits?.(value as never) === false) throw invalidParameter(name, expected, value)
}

export type Fields = Readonly<Record<string, Kind>>

/** An object, and those of its fields that are named. */
export function checkFields(value: unknown, name: string, fields: Fields): void {
  check(value, name, 'object')
  for (const [field, kind] of Object.entries(fields))
    check((value as Record<string, unknown>)[field], `${name}.${field}`, kind)
}

/** Options, which go by their own names in sentences. */
export function checkOptions(options: unknown, fields: Fields): void {
  check(options, 'options', 'object')
  for (const [name, kind] of Object.entries(fields))
    check((options as Record<string, unknown>)[name], name, kind)
}

/** A list, and each of its entries. @param least entries that it must have */
export function checkEach(
  value: unknown,
  name: string,
  each: (entry: unknown, name: string) => void,
  least = 1,
): void {
  check(value, name, 'list')
  const list = value as unknown[]
  if (list.length < least) throw invalidParameter(name, `a list of ${least} or more`, value)
  // Not forEach: a hole in the list is an entry, too.
  for (const [i, entry] of list.entries()) each(entry, `${name}[${i}]`)
}

/** A list whose entries are all of one kind. */
export function checkList(value: unknown, name: string, kind: Kind, least = 1): void {
  checkEach(value, name, (entry, at) => check(entry, at, kind), least)
}

export function checkOneOf(value: unknown, name: string, choices: readonly string[]): void {
  if (typeof value === 'string' && choices.includes(value)) return
  const expected = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
  throw invalidParameter(name, expected, value, typeof value === 'string' ? 'range' : 'type')
}

/** @throws TypeError for an option that there is not: misspelt, it would change nothing, silently */
export function checkNames(options: object, of: string, known: readonly string[]): void {
  const odd = Object.keys(options).find((name) => !known.includes(name))
  if (odd === undefined) return
  const meant = nearest(odd, known)
  throw parameterError(
    `${of} has no option ${odd.slice(0, 80)}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    'type',
  )
}

/** Of everything that takes time. */
export const jobFields = { onProgress: 'function?', signal: 'signal?' } as const satisfies Record<
  string,
  Kind
>
/** Of everything that writes files. */
export const writeFields = { force: 'flag?' } as const satisfies Fields
