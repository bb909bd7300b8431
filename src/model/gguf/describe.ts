/** From a GGUF file to everything the engine has to know of it. */

import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { EngineSpec, WeightRef } from '../../engine/spec.js'
import { InputError } from '../../errors.js'
import { type ModelDescription, sampleWeights } from '../describe.js'
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
  const spec = withRopeOf(header, architecture, family.spec(config))
  const weights = family.weights(config, spec).map((weight) => findWeight(weight, header, architecture))
  const hash = createHash('sha256').update(readStart(file, header.headerBytes))
  for (const sample of sampleWeights(weights)) hash.update(sample)
  return {
    id: basename(file).replace(/\.gguf$/i, ''),
    folder: dirname(file),
    hash: hash.digest('hex'),
    family,
    config,
    spec,
    weights,
    eosIds: readEosIds(header),
    loadTokenizer: () => ggufTokenizer(metadata),
  }
}

/**
 * Files of Llama's layout have the query and key rows in the order of neighbouring rotary pairs; and what Llama 3
 * scales its frequencies by is a tensor of divisors.
 */
function withRopeOf({ file, tensors }: GgufHeader, architecture: string, spec: EngineSpec): EngineSpec {
  const adjacent = architecture === 'llama' ? { ropeAdjacent: true } : {}
  const tensor = tensors.get('rope_freqs.weight')
  if (!tensor) return { ...spec, ...adjacent }
  const { invFreq, scale } = spec.rope
  if (tensor.type.name !== 'F32' || tensor.shape.length !== 1 || tensor.shape[0] !== invFreq.length)
    throw new InputError(`${file}: rope_freqs.weight must hold ${invFreq.length} values in F32`)
  const bytes = readAt(file, tensor.offset, tensor.bytes)
  const scaled = invFreq.map((frequency, i) => frequency / bytes.readFloatLE(4 * i))
  return { ...spec, ...adjacent, rope: { invFreq: scaled, scale } }
}

function findWeight(
  { role, name, shape }: WeightName,
  { file, tensors }: GgufHeader,
  architecture: string,
): WeightRef {
  const stored = ggufName(name, architecture)
  const tensor = tensors.get(stored)
  if (!tensor) throw new InputError(`${file} holds no tensor ${stored}, which its metadata call for`)
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    const found = `[${tensor.shape.join(', ')}]`
    throw new InputError(
      `${file}: tensor ${stored} has shape ${found}, the metadata make it [${shape.join(', ')}]`,
    )
  }
  return {
    role,
    name: stored,
    file,
    dtype: storedType(tensor, file),
    shape,
    offset: tensor.offset,
    bytes: tensor.bytes,
  }
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
