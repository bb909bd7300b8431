/** A model's config.json, read field by field with checks. Families say which fields they need. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '../errors.js'
import { readJson } from './json-file.js'

/** Far above any model, and small enough for products of three to stay exact. */
const maxInteger = 2 ** 31 - 1

/** Of sizes that tables are made from here, before native code checks anything; as native/weights/open_model.cc has them. */
const largest: Readonly<Record<string, number>> = {
  num_hidden_layers: 4096,
  num_attention_heads: 4096,
  num_key_value_heads: 4096,
  head_dim: 1024,
  hidden_size: 2 ** 20,
  num_experts: 4096,
  num_local_experts: 4096,
}

/** Of config.json: a real one has a few thousand. */
const maxConfigBytes = 2 ** 20

/** Fields of config.json, or of an object inside it. A field that is null counts as absent, as in transformers. */
export class Config {
  constructor(
    /** For messages. */
    readonly file: string,
    readonly fields: Readonly<Record<string, unknown>>,
    private readonly path = '',
  ) {}

  /** @throws InputError when absent without a fallback, or not an integer from 1 to 2^31 - 1 or the field's own limit */
  positiveInteger(name: string, fallback?: number): number {
    const value = this.fields[name] ?? fallback
    const most = largest[name] ?? maxInteger
    if (Number.isInteger(value) && (value as number) > 0 && (value as number) <= most) return value as number
    const large = typeof value === 'number' && value > most
    throw this.mustBe(name, large ? `an integer of at most ${most}` : 'a positive integer')
  }

  /** @throws InputError when absent without a fallback, or not a finite number above 0 */
  positiveNumber(name: string, fallback?: number): number {
    const value = this.fields[name] ?? fallback
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    throw this.mustBe(name, 'a positive number')
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
  const { fields, bytes } = readJson(file, maxConfigBytes)
  return { config: new Config(file, fields), bytes }
}
