/** From a GGUF file to everything the engine has to know of it. */

import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { EngineSpec, Rope, WeightRef } from '../../engine/spec.js'
import { InputError } from '../../errors.js'
import { type ModelDescription, placeWeight, sampleWeights } from '../describe.js'
import type { WeightName } from '../families/family.js'
import { familyOf } from '../families/index.js'
import { architectureOf, ggufConfig } from './config.js'
import { type GgufHeader, type GgufTensor, readGgufHeader } from './header.js'
import { ggufName } from './names.js'
import { ggufTokenizer } from './tokenizer.js'
import { computable, isComputable } from './types.js'

/** @throws InputError with one sentence on what is missing or wrong, and where */
export function describeGguf(file: string): ModelDescription {
  const header = readGgufHeader(file)
  const { metadata } = header
  if (metadata.number('split.count', 1) > 1)
    throw new InputError(
      `${file} is one part of a split model; join the parts first with llama-gguf-split --merge`,
    )
  const architecture = architectureOf(header)
  const config = ggufConfig(header)
  const family = familyOf(config)
  const plan = family.plan(config)
  const spec = asStored(header, architecture, plan.spec)
  const holds = (name: string): boolean => header.tensors.has(ggufName(name, architecture))
  const weights = family
    .weights(config, spec, holds)
    .map((weight) => findWeight(weight, header, architecture))
  const hash = createHash('sha256').update(readStart(file, header.headerBytes))
  for (const sample of sampleWeights(weights)) hash.update(sample)
  return {
    id: basename(file).replace(/\.gguf$/i, ''),
    folder: dirname(file),
    hash: hash.digest('hex'),
    family,
    config,
    spec,
    longContext: plan.longContext,
    weights,
    eosIds: readEosIds(header),
    loadTokenizer: () => ggufTokenizer(metadata),
  }
}

/**
 * What files hold otherwise than safetensors do: Llama's query and key rows stand in the order of neighbouring rotary
 * pairs, Gemma's norms have their 1 added already, and what Llama 3 divides its frequencies by is a tensor.
 */
function asStored(header: GgufHeader, architecture: string, spec: EngineSpec): EngineSpec {
  const divisors = ropeDivisors(header, spec)
  const ropes = spec.ropes.map((rope): Rope => {
    const invFreq = divisors ? rope.invFreq.map((frequency, i) => frequency / divisors[i]!) : rope.invFreq
    return architecture === 'llama' ? { ...rope, invFreq, adjacent: true } : { ...rope, invFreq }
  })
  return { ...spec, ropes, normOffset: 0 }
}

function ropeDivisors({ file, tensors }: GgufHeader, { headDim }: EngineSpec): Float32Array | undefined {
  const tensor = tensors.get('rope_freqs.weight')
  if (!tensor) return undefined
  if (tensor.type.name !== 'F32' || tensor.shape.length !== 1 || tensor.shape[0] !== headDim / 2)
    throw new InputError(`${file}: rope_freqs.weight must hold ${headDim / 2} values in F32`)
  const bytes = readAt(file, tensor.offset, tensor.bytes)
  return Float32Array.from({ length: headDim / 2 }, (_, i) => bytes.readFloatLE(4 * i))
}

function findWeight(weight: WeightName, { file, tensors }: GgufHeader, architecture: string): WeightRef {
  const name = ggufName(weight.name, architecture)
  const tensor = tensors.get(name)
  if (!tensor) throw new InputError(`${file} holds no tensor ${name}, which its metadata call for`)
  const { shape } = weight
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    const found = `[${tensor.shape.join(', ')}]`
    throw new InputError(
      `${file}: tensor ${name} has shape ${found}, the metadata make it [${shape.join(', ')}]`,
    )
  }
  return placeWeight(weight, { ...tensor, file, dtype: storedType(tensor, file) })
}

function storedType({ name, type, shape }: GgufTensor, file: string): WeightRef['dtype'] {
  if (!isComputable(type.name))
    throw new InputError(
      `${file}: tensor ${name} is stored as ${type.name}; supported: ${computable.join(', ')}`,
    )
  if (shape.length === 1 && type.elements > 1)
    throw new InputError(
      `${file}: tensor ${name} is a vector stored as ${type.name}; supported: F32, F16, BF16`,
    )
  return type.name
}

/** Texts of tokens that close a turn, for files whose metadata name only the end of a document. */
const turnEnds = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<end_of_turn>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
])

function readEosIds({ metadata }: GgufHeader): number[] {
  const named = ['eos', 'eot', 'eom'].map((kind) => `tokenizer.ggml.${kind}_token_id`)
  const ids = named.filter((key) => metadata.has(key)).map((key) => metadata.number(key))
  const tokens = metadata.has('tokenizer.ggml.tokens') ? metadata.texts('tokenizer.ggml.tokens') : []
  const found = tokens.flatMap((token, id) => (turnEnds.has(token) ? [id] : []))
  return [...new Set([...ids, ...found])]
}

function readStart(file: string, bytes: number): Buffer {
  return readAt(file, 0, bytes)
}

function readAt(file: string, offset: number, length: number): Buffer {
  const handle = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(length)
    if (readSync(handle, bytes, 0, length, offset) < length)
      throw new InputError(`${file} ended while it was read`)
    return bytes
  } finally {
    closeSync(handle)
  }
}
