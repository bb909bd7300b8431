/** A tiny Llama written to a folder: for tests that need a model of their own making. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSafetensors } from '../model/write-safetensors.js'

export interface TinyShape {
  layers: number
  hidden: number
  heads: number
  kvHeads: number
  headDim: number
  inner: number
  vocab: number
  positions: number
}

export const tinyShape: TinyShape = {
  layers: 2,
  hidden: 24,
  heads: 3,
  kvHeads: 1,
  headDim: 10,
  inner: 37,
  vocab: 51,
  positions: 4096,
}

/** Much KV for little work: 8 heads of 64 for a hidden state of 16. */
export const wideKvShape: TinyShape = {
  ...tinyShape,
  layers: 6,
  hidden: 16,
  heads: 8,
  kvHeads: 8,
  headDim: 64,
  inner: 16,
}

/** Uniform in -1..1, the same on every machine. */
export function randomFloats(count: number, seed: number): Float32Array {
  let state = seed >>> 0 || 1
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 31 - 1) as number
  })
}

export function randomIds(count: number, vocab: number, seed: number): Int32Array {
  return Int32Array.from(randomFloats(count, seed), (x) =>
    Math.min(vocab - 1, Math.floor(((x + 1) / 2) * vocab)),
  )
}

export function tensorShapes(shape: TinyShape): Record<string, number[]> {
  const { hidden, heads, kvHeads, headDim, inner, vocab } = shape
  const tensors: Record<string, number[]> = {
    'model.embed_tokens.weight': [vocab, hidden],
    'model.norm.weight': [hidden],
    'lm_head.weight': [vocab, hidden],
  }
  for (let layer = 0; layer < shape.layers; layer++) {
    const at = `model.layers.${layer}.`
    Object.assign(tensors, {
      [`${at}input_layernorm.weight`]: [hidden],
      [`${at}post_attention_layernorm.weight`]: [hidden],
      [`${at}self_attn.q_proj.weight`]: [heads * headDim, hidden],
      [`${at}self_attn.k_proj.weight`]: [kvHeads * headDim, hidden],
      [`${at}self_attn.v_proj.weight`]: [kvHeads * headDim, hidden],
      [`${at}self_attn.o_proj.weight`]: [hidden, heads * headDim],
      [`${at}mlp.gate_proj.weight`]: [inner, hidden],
      [`${at}mlp.up_proj.weight`]: [inner, hidden],
      [`${at}mlp.down_proj.weight`]: [hidden, inner],
    })
  }
  return tensors
}

/** @param edit may change a tensor's values before they are written */
export function writeTinyModel(
  folder: string,
  shape: TinyShape = tinyShape,
  edit: (name: string, values: Float32Array) => void = () => {},
): string {
  const header: Record<string, object> = {}
  const parts: Buffer[] = []
  let offset = 0
  for (const [index, [name, dims]] of Object.entries(tensorShapes(shape)).entries()) {
    const values = randomFloats(
      dims.reduce((a, b) => a * b, 1),
      index + 1,
    )
    const norm = name.includes('norm')
    const peaky = name.includes('q_proj') || name.includes('k_proj')
    for (const [i, v] of values.entries()) values[i] = norm ? 1 + 0.2 * v : peaky ? v : 0.4 * v
    edit(name, values)
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [offset, offset + values.byteLength] }
    offset += values.byteLength
    parts.push(Buffer.from(values.buffer))
  }
  writeSafetensors(join(folder, 'model.safetensors'), header, Buffer.concat(parts))
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: shape.hidden,
      intermediate_size: shape.inner,
      num_hidden_layers: shape.layers,
      num_attention_heads: shape.heads,
      num_key_value_heads: shape.kvHeads,
      head_dim: shape.headDim,
      vocab_size: shape.vocab,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      hidden_act: 'silu',
      max_position_embeddings: shape.positions,
      tie_word_embeddings: false,
      eos_token_id: 2,
    }),
  )
  return folder
}

/** Chunks of a context whose reconstruction inputs are a prompt of `lead` and the chunk. */
export function chunksOf(context: Int32Array, size: number, lead: Int32Array) {
  const chunks: { start: number; end: number; ids: Int32Array }[] = []
  for (let start = 0; start < context.length; start += size) {
    const end = Math.min(start + size, context.length)
    chunks.push({ start, end, ids: Int32Array.from([...lead, ...context.subarray(start, end)]) })
  }
  return chunks
}
