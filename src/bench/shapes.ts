/** Models of realistic size without their weights: a config and a sparse file, for benchmarks. */

import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { invalidParameter } from '../errors.js'

interface Shape {
  architecture: string
  hidden: number
  intermediate: number
  layers: number
  heads: number
  kvHeads: number
  headDim: number
  vocab: number
  biased: boolean
  /** The embedding is the output matrix, too. */
  tied: boolean
  ropeTheta: number
}

/** Sizes as their config.json files on the hub give them. */
const shapes = {
  'llama3.2-1b': {
    architecture: 'LlamaForCausalLM',
    hidden: 2048,
    intermediate: 8192,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    vocab: 128256,
    biased: false,
    tied: true,
    ropeTheta: 5e5,
  },
  'qwen2.5-7b': {
    architecture: 'Qwen2ForCausalLM',
    hidden: 3584,
    intermediate: 18944,
    layers: 28,
    heads: 28,
    kvHeads: 4,
    headDim: 128,
    vocab: 152064,
    biased: true,
    tied: false,
    ropeTheta: 1e7,
  },
  'qwen2.5-14b': {
    architecture: 'Qwen2ForCausalLM',
    hidden: 5120,
    intermediate: 13824,
    layers: 48,
    heads: 40,
    kvHeads: 8,
    headDim: 128,
    vocab: 152064,
    biased: true,
    tied: false,
    ropeTheta: 1e7,
  },
  'llama3.1-8b': {
    architecture: 'LlamaForCausalLM',
    hidden: 4096,
    intermediate: 14336,
    layers: 32,
    heads: 32,
    kvHeads: 8,
    headDim: 128,
    vocab: 128256,
    biased: false,
    tied: false,
    ropeTheta: 5e5,
  },
  'llama3.1-70b': {
    architecture: 'LlamaForCausalLM',
    hidden: 8192,
    intermediate: 28672,
    layers: 80,
    heads: 64,
    kvHeads: 8,
    headDim: 128,
    vocab: 128256,
    biased: false,
    tied: false,
    ropeTheta: 5e5,
  },
} as const satisfies Record<string, Shape>

export type ShapeName = keyof typeof shapes

export const shapeNames = Object.keys(shapes) as ShapeName[]

export interface SparseModel {
  folder: string
  layers: number
  /** Of the model that the shape is named after; `layers` may be fewer. */
  allLayers: number
  vocab: number
  /** Of the weights that scoring reads: the layers and the embedding. */
  weightBytes: number
  /** Of the weights that a decoded token reads: all but an embedding that is not the output matrix, too. */
  decodedBytes: number
}

/**
 * Writes config.json and a model.safetensors that is one hole into `folder`.
 * @param layers how many of the shape's layers; all when left out
 * @throws RangeError for more layers than the shape has
 */
export function writeSparseModel(folder: string, name: ShapeName, layers?: number): SparseModel {
  const shape: Shape = shapes[name]
  const count = layers ?? shape.layers
  if (!Number.isInteger(count) || count < 1 || count > shape.layers)
    throw invalidParameter('layers', `an integer from 1 to ${shape.layers}`, layers)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf(shape, count), null, 2))
  const tensors = tensorsOf(shape, count)
  writeHole(join(folder, 'model.safetensors'), tensors)
  const bytesWithout = (without: string): number =>
    tensors
      .filter(([tensor]) => tensor !== without)
      .reduce((sum, [, dimensions]) => sum + bytesOf(dimensions), 0)
  return {
    folder,
    layers: count,
    allLayers: shape.layers,
    vocab: shape.vocab,
    weightBytes: bytesWithout('lm_head.weight'),
    decodedBytes: bytesWithout(shape.tied ? '' : 'model.embed_tokens.weight'),
  }
}

function configOf(shape: Shape, layers: number): Record<string, unknown> {
  return {
    architectures: [shape.architecture],
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_hidden_layers: layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: shape.headDim,
    vocab_size: shape.vocab,
    max_position_embeddings: 1010000,
    rope_theta: shape.ropeTheta,
    rms_norm_eps: 1e-6,
    hidden_act: 'silu',
    tie_word_embeddings: shape.tied,
    torch_dtype: 'bfloat16',
  }
}

function tensorsOf(shape: Shape, layers: number): [string, number[]][] {
  const { hidden, intermediate, vocab, biased, headDim, tied } = shape
  const q = shape.heads * headDim
  const kv = shape.kvHeads * headDim
  const layer: [string, number[]][] = [
    ['input_layernorm.weight', [hidden]],
    ['self_attn.q_proj.weight', [q, hidden]],
    ['self_attn.k_proj.weight', [kv, hidden]],
    ['self_attn.v_proj.weight', [kv, hidden]],
    ['self_attn.o_proj.weight', [hidden, q]],
    ['post_attention_layernorm.weight', [hidden]],
    ['mlp.gate_proj.weight', [intermediate, hidden]],
    ['mlp.up_proj.weight', [intermediate, hidden]],
    ['mlp.down_proj.weight', [hidden, intermediate]],
  ]
  const biases: [string, number[]][] = [
    ['self_attn.q_proj.bias', [q]],
    ['self_attn.k_proj.bias', [kv]],
    ['self_attn.v_proj.bias', [kv]],
  ]
  const ofLayer = biased ? [...layer, ...biases] : layer
  return [
    ['model.embed_tokens.weight', [vocab, hidden]],
    ...Array.from({ length: layers }, (_, i) =>
      ofLayer.map(([name, dimensions]): [string, number[]] => [`model.layers.${i}.${name}`, dimensions]),
    ).flat(),
    ['model.norm.weight', [hidden]],
    ...(tied ? [] : [['lm_head.weight', [vocab, hidden]] satisfies [string, number[]]]),
  ]
}

function bytesOf(dimensions: number[]): number {
  return 2 * dimensions.reduce((product, size) => product * size, 1)
}

function writeHole(file: string, tensors: [string, number[]][]): void {
  const header: Record<string, unknown> = {}
  let at = 0
  for (const [name, dimensions] of tensors) {
    const end = at + bytesOf(dimensions)
    header[name] = { dtype: 'BF16', shape: dimensions, data_offsets: [at, end] }
    at = end
  }
  const text = JSON.stringify(header)
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  const handle = openSync(file, 'w')
  try {
    writeSync(handle, length)
    writeSync(handle, json)
    ftruncateSync(handle, 8 + json.length + at)
  } finally {
    closeSync(handle)
  }
}
