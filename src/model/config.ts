/** A model's config.json, read field by field with checks. Families say which fields they need. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '../errors.js'
import { readJson } from './json-file.js'

/** Far above any model, and small enough for products of three to stay exact. */
const maxInteger = 2 ** 31 - 1

/** Fields of config.json, or of an object inside it. A field that is null counts as absent, as in transformers. */
export class Config {
  constructor(
    /** For messages. */
    readonly file: string,
    readonly fields: Readonly<Record<string, unknown>>,
    private readonly path = '',
  ) {}

  /** @throws InputError when absent without a fallback, or not an integer from 1 to 2^31 - 1 */
  positiveInteger(name: string, fallback?: number): number {
    const value = this.fields[name] ?? fallback
    if (Number.isInteger(value) && (value as number) > 0 && (value as number) <= maxInteger)
      return value as number
    throw this.mustBe(name, 'a positive integer')
  }

  /** @throws InputError when absent without a fallback, or not a finite number above 0 */
  positiveNumber(name: string, fallback?: number): number {
    const value = this.fields[name] ?? fallback
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    throw this.mustBe(name, 'a positive number')
  }

  /** A field that may be left out or null, which counts as the fallback. @throws InputError unless a number of at least 0 */
  nonNegativeNumber(name: string, fallback: number): number {
    const value = this.fields[name] ?? fallback
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
    throw this.mustBe(name, 'a number of at least 0')
  }

  /** @throws InputError unless a list of `length` positive numbers */
  positiveNumbers(name: string, length: number): number[] {
    const value: unknown = this.fields[name]
    if (Array.isArray(value) && value.length === length && value.every((x) => typeof x === 'number' && x > 0))
      return value as number[]
    throw this.mustBe(name, `a list of ${length} positive numbers`)
  }

  /** @returns one of `allowed` each; undefined when absent. @throws InputError unless a list of `length` of them */
  listOf<T extends string>(name: string, allowed: readonly T[], length: number): T[] | undefined {
    const value: unknown = this.fields[name] ?? undefined
    if (value === undefined) return undefined
    const known: readonly unknown[] = allowed
    if (Array.isArray(value) && value.length === length && value.every((x) => known.includes(x)))
      return value as T[]
    throw this.mustBe(name, `a list of ${length}, each ${allowed.join(' or ')}`)
  }

  /** Indices below `end`; empty when absent. */
  indices(name: string, end: number): number[] {
    const value: unknown = this.fields[name] ?? []
    if (
      Array.isArray(value) &&
      value.every((x) => Number.isInteger(x) && (x as number) >= 0 && (x as number) < end)
    )
      return value as number[]
    throw this.mustBe(name, `a list of integers from 0 to ${end - 1}`)
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.fields[name] ?? fallback
    if (typeof value === 'boolean') return value
    throw this.mustBe(name, 'true or false')
  }

  /** @returns the value, one of `allowed`; absent counts as the first of them */
  oneOf<T extends string | number>(name: string, allowed: readonly [T, ...T[]]): T {
    const value = this.fields[name] ?? allowed[0]
    const found = allowed.find((known) => known === value)
    if (found !== undefined) return found
    throw this.mustBe(name, allowed.length === 1 ? `${allowed[0]}` : `one of ${allowed.join(', ')}`)
  }

  /** An object inside the config; undefined when absent. */
  section(name: string): Config | undefined {
    const value = this.fields[name] ?? undefined
    if (value === undefined) return undefined
    if (typeof value !== 'object' || Array.isArray(value)) throw this.mustBe(name, 'an object')
    return new Config(this.file, value as Record<string, unknown>, `${this.path}${name}.`)
  }

  /** The same place with other fields, for what an architecture spells in a way of its own. */
  with(change: (fields: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>): Config {
    return new Config(this.file, change(this.fields), this.path)
  }

  /** There at all, be it as null: some defaults hold only for a field that is left out. */
  mentions(name: string): boolean {
    return name in this.fields
  }

  has(name: string): boolean {
    return (this.fields[name] ?? undefined) !== undefined
  }

  /** An id or a list of ids, as `eos_token_id` is written; empty when absent. */
  tokenIds(name: string): number[] {
    const value = this.fields[name] ?? []
    const ids: unknown[] = Array.isArray(value) ? value : [value]
    if (ids.every((id) => Number.isInteger(id) && (id as number) >= 0)) return ids as number[]
    throw this.mustBe(name, 'a token id or a list of them')
  }

  mustBe(name: string, expected: string): InputError {
    const value = this.fields[name] ?? undefined
    const got = value === undefined ? 'it is missing' : `got ${JSON.stringify(value).slice(0, 80)}`
    return new InputError(`${this.file}: ${this.path}${name} must be ${expected}, ${got}`)
  }
}

/** @throws InputError when the folder has no config.json, or it is not a JSON object */
export function readConfig(folder: string): { config: Config; bytes: Buffer } {
  const file = join(folder, 'config.json')
  if (!existsSync(file)) throw new InputError(`${folder} is not a model folder: it has no config.json`)
  const { fields, bytes } = readJson(file)
  return { config: new Config(file, fields), bytes }
}
