/** From a GGUF file to everything the engine has to know of it. */

import { createHash } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { type EngineSpec, type Rope, scoredAttention, type WeightRef } from '../../engine/spec.js'
import { InputError } from '../../errors.js'
import type { EngineDescription } from '../describe.js'
import type { WeightName } from '../families/family.js'
import { familyOf } from '../families/index.js'
import { reachOf } from '../rope.js'
import { Tokenizer } from '../tokenizer.js'
import { locateWeight, sampleWeights } from '../weight-refs.js'
import { architectureOf, ggufConfig } from './config.js'
import type { GgufHeader, GgufTensor } from './header.js'
import { ggufName } from './names.js'
import { mergeParts, readGgufParts, stemOf } from './parts.js'
import { computable, isComputable } from './types.js'
import { readAt, readVector } from './values.js'

/** @throws InputError with one sentence on what is missing or wrong, and where */
export function describeGguf(file: string): EngineDescription {
  const parts = readGgufParts(file)
  const header = mergeParts(parts)
  const architecture = architectureOf(header)
  const config = ggufConfig(header)
  const family = familyOf(config)
  const plan = family.plan(config)
  const spec = asStored(header, architecture, plan.spec)
  const holds = (name: string): boolean => header.tensors.has(ggufName(name, architecture).name)
  const weights = family
    .weights(config, spec, holds)
    .map((weight) => findWeight(weight, header, architecture))
  const hash = createHash('sha256')
  for (const part of parts) hash.update(readAt(part.file, 0, part.headerBytes))
  for (const sample of sampleWeights(weights)) hash.update(sample)
  return {
    id: stemOf(basename(file)),
    folder: dirname(file),
    hash: hash.digest('hex'),
    family,
    config,
    spec,
    reach: reachOf(spec.maxPositions, plan.longContext),
    longContext: plan.longContext,
    weights,
    eosIds: readEosIds(header),
    openTokenizer: (limits) => new Tokenizer({ gguf: file }, limits),
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

function ropeDivisors(header: GgufHeader, spec: EngineSpec): number[] | undefined {
  return readVector(header, 'rope_freqs.weight', scoredAttention(spec).headDim / 2)
}

function findWeight(weight: WeightName, header: GgufHeader, architecture: string): WeightRef {
  const { file, tensors } = header
  const { name, expert, alone } = ggufName(weight.name, architecture)
  const [out = 1, into] = weight.shape
  const single = alone === undefined ? undefined : tensors.get(alone)
  if (single) return weightRef(single, weight.shape, weight)
  const tensor = tensors.get(name)
  if (!tensor) throw new InputError(`${file} holds no tensor ${name}, which its metadata call for`)
  // What is one row of a matrix elsewhere may be a vector here.
  if (out === 1 && tensor.shape.length === 1) return weightRef(tensor, weight.shape.slice(1), weight)
  if (expert === undefined || into === undefined) return weightRef(tensor, weight.shape, weight)
  const experts = tensor.shape[0]!
  if (expert >= experts)
    throw new InputError(`${tensor.file}: tensor ${name} holds ${experts} experts, the metadata name more`)
  // As one matrix whose rows are the experts' one after the other.
  const rows: [number, number] = [expert * out, out]
  return weightRef(tensor, [experts, out, into], { ...weight, shape: [experts * out, into], rows })
}

/** @param shape that the tensor must have in the file */
function weightRef(tensor: GgufTensor, shape: number[], weight: WeightName): WeightRef {
  const { name, file } = tensor
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    const found = `[${tensor.shape.join(', ')}]`
    throw new InputError(
      `${file}: tensor ${name} has shape ${found}, the metadata make it [${shape.join(', ')}]`,
    )
  }
  return locateWeight(weight, { ...tensor, dtype: storedType(tensor) })
}

function storedType({ name, file, type, shape }: GgufTensor): WeightRef['dtype'] {
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
