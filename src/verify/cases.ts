/** Verification cases: token ids in, expected numbers out. `cases.json` and `expected.safetensors` in one folder. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '../errors.js'
import { readJson } from '../model/json-file.js'
import {
  readSafetensorsHeader,
  readTensorBytes,
  type StoredTensor,
  type TensorDtype,
} from '../model/safetensors.js'

export interface VerifyCase {
  name: string
  prefixIds: Int32Array
  contextIds: Int32Array
  chunkSize: number
  /** One a chunk. */
  repeatInputs: Int32Array[]
  queryIds: Int32Array
  /** Tokens to generate; the end-of-sequence token does not stop them. */
  newTokens: number
  headRatio: number
  pairRatio: number
}

/** @throws InputError naming the file, the case and the field */
export function readCases(folder: string): VerifyCase[] {
  const file = join(folder, 'cases.json')
  if (!existsSync(file))
    throw new InputError(`${folder} holds no cases.json, so there is nothing to verify against`)
  const { cases } = readJson(file).fields
  if (!Array.isArray(cases) || cases.length === 0) throw new InputError(`${file} has no list of cases`)
  return cases.map((each: unknown, i) => parseCase(each, `${file}, case ${i}`))
}

function parseCase(value: unknown, where: string): VerifyCase {
  const fields = (typeof value === 'object' ? value : {}) as Readonly<Record<string, unknown>> | null
  const fail = (name: string, what: string): InputError => new InputError(`${where}: ${name} must be ${what}`)
  const ids = (name: string, list: unknown = fields?.[name]): Int32Array => {
    if (Array.isArray(list) && list.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 31)) {
      return Int32Array.from(list as number[])
    }
    throw fail(name, 'a list of token ids')
  }
  const number = (name: string, fits: (n: number) => boolean, what: string): number => {
    const found = fields?.[name]
    if (typeof found === 'number' && fits(found)) return found
    throw fail(name, what)
  }
  const count = (name: string): number =>
    number(name, (n) => Number.isInteger(n) && n > 0, 'a positive integer')
  const ratio = (name: string): number => number(name, (n) => n > 0 && n <= 1, 'a number in (0, 1]')
  const inputs = fields?.repeat_inputs
  if (typeof fields?.name !== 'string') throw fail('name', 'a string')
  if (!Array.isArray(inputs)) throw fail('repeat_inputs', 'a list of lists of token ids')
  const contextIds = ids('ctx_ids')
  const chunkSize = count('chunk_size')
  if (inputs.length !== Math.ceil(contextIds.length / chunkSize))
    throw fail('repeat_inputs', 'one list a chunk')
  return {
    name: fields.name,
    prefixIds: ids('sys_ids'),
    contextIds,
    chunkSize,
    repeatInputs: inputs.map((list: unknown) => ids('repeat_inputs', list)),
    queryIds: ids('query_ids'),
    newTokens: count('n_new'),
    headRatio: ratio('head_ratio'),
    pairRatio: ratio('pair_ratio'),
  }
}

/** Tensors of expected.safetensors, asked for by name. */
export class Expected {
  private readonly tensors: Map<string, StoredTensor>
  private readonly file: string

  constructor(folder: string) {
    this.file = join(folder, 'expected.safetensors')
    this.tensors = readSafetensorsHeader(this.file).tensors
  }

  floats(name: string, length: number): Float32Array {
    return new Float32Array(this.bytes(name, 'F32', length))
  }

  integers(name: string, length: number): Int32Array {
    return new Int32Array(this.bytes(name, 'I32', length))
  }

  /** 0 and 1. */
  mask(name: string, length: number): Uint8Array {
    return new Uint8Array(this.bytes(name, 'U8', length))
  }

  private bytes(name: string, dtype: TensorDtype, length: number): ArrayBuffer {
    const tensor = this.tensors.get(name)
    if (!tensor) throw new InputError(`${this.file} holds no tensor ${name}`)
    const elements = tensor.shape.reduce((product, size) => product * size, 1)
    if (tensor.dtype !== dtype || elements !== length) {
      const found = `${elements} values in ${tensor.dtype}`
      throw new InputError(
        `${this.file}: tensor ${name} must hold ${length} values in ${dtype}, it holds ${found}`,
      )
    }
    const bytes = readTensorBytes(tensor)
    // A copy of its own: views of other types need their alignment.
    return new Uint8Array(bytes).buffer
  }
}
