/** A safetensors fixture as a GGUF file, by the conventions of llama.cpp's converter: to be checked by the same numbers. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSafetensorsHeader, readTensorBytes, type StoredTensor } from '../../../src/model/safetensors.js'
import { packageRoot } from '../../cli/headzip.js'
import { f32, flag, text, u32, type WrittenFile, type WrittenTensor } from './write-gguf.js'

/** What the safetensors folder holds. */
export interface Source {
  folder: string
  config: Readonly<Record<string, number>>
  /** In F32, by name. */
  tensors: Map<string, { shape: number[]; values: Float32Array }>
}

export function readSource(fixture: string): Source {
  const folder = join(packageRoot, 'test/fixtures/models', fixture)
  const { tensors } = readSafetensorsHeader(join(folder, 'model.safetensors'))
  return {
    folder,
    config: JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, number>,
    tensors: new Map(
      [...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, values: wide(tensor) }]),
    ),
  }
}

function wide(tensor: StoredTensor): Float32Array {
  const bytes = readTensorBytes(tensor)
  const bits = Uint32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i) << 16)
  return new Float32Array(bits.buffer)
}

export interface Named {
  name: string
  /** Outermost first. */
  shape: number[]
  values: Float32Array
}

/** The metadata that all architectures have. */
export function commonPairs(architecture: string, config: Source['config']): WrittenFile['pairs'] {
  const counts: [key: string, value: number | undefined | null][] = [
    ['block_count', config.num_hidden_layers],
    ['context_length', config.max_position_embeddings],
    ['embedding_length', config.hidden_size],
    ['feed_forward_length', config.intermediate_size],
    ['attention.head_count', config.num_attention_heads],
    ['attention.head_count_kv', config.num_key_value_heads],
    ['attention.key_length', config.head_dim],
    ['attention.value_length', config.head_dim],
    ['expert_count', config.num_local_experts ?? config.num_experts],
    ['expert_used_count', config.num_experts_per_tok],
    ['expert_feed_forward_length', config.moe_intermediate_size],
    ['expert_shared_feed_forward_length', config.shared_expert_intermediate_size],
  ]
  return [
    ['general.architecture', text(architecture)],
    ...counts.flatMap(([key, value]): WrittenFile['pairs'] =>
      typeof value === 'number' ? [[`${architecture}.${key}`, u32(value)]] : [],
    ),
    [`${architecture}.attention.layer_norm_rms_epsilon`, f32(config.rms_norm_eps!)],
    [`${architecture}.rope.freq_base`, f32(config.rope_theta!)],
    ['general.quantised', flag(false)],
  ]
}

const layerNames: [from: RegExp, to: string][] = [
  [/input_layernorm/, 'attn_norm'],
  [/post_attention_layernorm/, 'ffn_norm'],
  [/self_attn\.([qkv])_proj/, 'attn_$1'],
  [/self_attn\.([qk])_norm/, 'attn_$1_norm'],
  [/self_attn\.o_proj/, 'attn_output'],
  [/self_attn\.qkv_proj/, 'attn_qkv'],
  [/mlp\.gate_up_proj/, 'ffn_up'],
  [/mlp\.shared_expert\.(gate|up|down)_proj/, 'ffn_$1_shexp'],
  [/mlp\.shared_expert_gate/, 'ffn_gate_inp_shexp'],
  [/(mlp|block_sparse_moe)\.gate(?=\.)/, 'ffn_gate_inp'],
  [/mlp\.(gate|up|down)_proj/, 'ffn_$1'],
]
const linears: Readonly<Record<string, string>> = { w1: 'gate', w2: 'down', w3: 'up' }

/** Tensors under their names in GGUF files; the experts of a layer are stacked. */
export function convertTensors({ tensors }: Source): Named[] {
  const out: Named[] = []
  const stacks = new Map<string, Named[]>()
  for (const [name, tensor] of tensors) {
    const [, layer, expert, linear] = /layers\.(\d+)\.\w+\.experts\.(\d+)\.(\w+)\.weight/.exec(name) ?? []
    if (linear !== undefined) {
      const stack = `blk.${layer}.ffn_${linears[linear] ?? linear.replace('_proj', '')}_exps.weight`
      const rows = stacks.get(stack) ?? []
      rows[Number(expert)] = { name, ...tensor }
      stacks.set(stack, rows)
      continue
    }
    let to = name
      .replace('model.embed_tokens', 'token_embd')
      .replace('model.norm', 'output_norm')
      .replace('lm_head', 'output')
      .replace('model.layers.', 'blk.')
    for (const [from, replacement] of layerNames) to = to.replace(from, replacement)
    // A vector, as the converter squeezes it.
    const shape = to.includes('gate_inp_shexp') ? tensor.shape.slice(1) : tensor.shape
    out.push({ name: to, shape, values: tensor.values })
  }
  for (const [name, rows] of stacks) {
    const values = Float32Array.from(rows.flatMap((each) => [...each.values]))
    out.push({ name, shape: [rows.length, ...rows[0]!.shape], values })
  }
  return out
}

/** Rows of a head's two halves become neighbours, which is how files of Llama's layout have queries and keys. */
export function permuted(tensor: Named, heads: number): Named {
  const [rows, cols] = tensor.shape as [number, number]
  const half = rows / heads / 2
  const values = new Float32Array(tensor.values.length)
  for (let row = 0; row < rows; row++) {
    const [head, at] = [Math.floor(row / (2 * half)), row % (2 * half)]
    const to = head * 2 * half + 2 * (at % half) + Math.floor(at / half)
    values.set(tensor.values.subarray(row * cols, (row + 1) * cols), to * cols)
  }
  return { ...tensor, values }
}

/** A file with these tensors in F32. */
export function fileOf(pairs: WrittenFile['pairs'], tensors: Named[]): WrittenFile {
  let offset = 0
  const parts: Buffer[] = []
  const located = tensors.map(({ name, shape, values }): WrittenTensor => {
    const tensor = { name, dimensions: [...shape].reverse(), type: 0, offset }
    const bytes = Buffer.from(values.slice().buffer)
    const room = Math.ceil(bytes.length / 32) * 32
    parts.push(bytes, Buffer.alloc(room - bytes.length))
    offset += room
    return tensor
  })
  return { pairs, tensors: located, data: Buffer.concat(parts) }
}

/** A fixture's metadata and tensors as llama.cpp's converter writes them. */
export function converted(fixture: 'mixtral' | 'qwen2-moe' | 'qwen3-moe' | 'phi3'): {
  source: Source
  pairs: WrittenFile['pairs']
  tensors: Named[]
} {
  const source = readSource(fixture)
  const { config } = source
  const tensors = convertTensors(source)
  if (fixture === 'mixtral') {
    const heads = { attn_q: config.num_attention_heads!, attn_k: config.num_key_value_heads! }
    const interleaved = tensors.map((tensor) => {
      const kind = /attn_[qk](?=\.weight)/.exec(tensor.name)?.[0] as keyof typeof heads | undefined
      return kind ? permuted(tensor, heads[kind]) : tensor
    })
    return { source, pairs: commonPairs('llama', config), tensors: interleaved }
  }
  if (fixture !== 'phi3') return { source, pairs: commonPairs(fixture.replace('-', ''), config), tensors }
  const scaling = config.rope_scaling as unknown as { short_factor: number[]; long_factor: number[] }
  const factors = (name: string, values: number[]): Named => ({
    name: `rope_factors_${name}.weight`,
    shape: [values.length],
    values: Float32Array.from(values),
  })
  const headDim = config.hidden_size! / config.num_attention_heads!
  const original = config.original_max_position_embeddings!
  const stretch = config.max_position_embeddings! / original
  return {
    source,
    pairs: [
      ...commonPairs('phi3', config),
      ['phi3.rope.dimension_count', u32(headDim * config.partial_rotary_factor!)],
      ['phi3.rope.scaling.original_context_length', u32(original)],
      ['phi3.rope.scaling.attn_factor', f32(Math.sqrt(1 + Math.log(stretch) / Math.log(original)))],
      ['phi3.attention.sliding_window', u32(config.sliding_window!)],
    ],
    tensors: [...tensors, factors('short', scaling.short_factor), factors('long', scaling.long_factor)],
  }
}

/** Files of a model in so many parts, the first with all metadata; @returns their names and bytes in order */
export function splitName(stem: string, part: number, count: number): string {
  const digits = (number: number): string => String(number).padStart(5, '0')
  return `${stem}-${digits(part + 1)}-of-${digits(count)}.gguf`
}
