/** A one-layer Llama as a GGUF file with a tokenizer of eight tokens: small enough to be mutated by the thousand. */

import { f32, numbers, text, texts, u32, type WrittenFile, type WrittenTensor } from './write-gguf.js'

const hidden = 32
const tokens = ['<unk>', '<s>', '</s>', 'a', 'b', 'c', 'ab', '\u0120']

const shapes: [name: string, dimensions: number[], type: number][] = [
  ['token_embd.weight', [hidden, tokens.length], 8],
  ['output_norm.weight', [hidden], 0],
  ['blk.0.attn_norm.weight', [hidden], 0],
  ['blk.0.ffn_norm.weight', [hidden], 0],
  ['blk.0.attn_q.weight', [hidden, hidden], 2],
  ['blk.0.attn_k.weight', [hidden, 16], 3],
  ['blk.0.attn_v.weight', [hidden, 16], 8],
  ['blk.0.attn_output.weight', [hidden, hidden], 1],
  ['blk.0.ffn_gate.weight', [hidden, 64], 30],
  ['blk.0.ffn_up.weight', [hidden, 64], 2],
  ['blk.0.ffn_down.weight', [64, hidden], 3],
]
const block: Record<number, [elements: number, bytes: number]> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  8: [32, 34],
  30: [1, 2],
}

export function tinyGguf(): WrittenFile {
  let offset = 0
  const tensors = shapes.map(([name, dimensions, type]): WrittenTensor => {
    const [elements, bytes] = block[type]!
    const written = { name, dimensions, type, offset }
    const size = (dimensions.reduce((a, b) => a * b, 1) / elements) * bytes
    offset += Math.ceil(size / 32) * 32
    return written
  })
  const pairs: WrittenFile['pairs'] = [
    ['general.architecture', text('llama')],
    ['llama.block_count', u32(1)],
    ['llama.context_length', u32(64)],
    ['llama.embedding_length', u32(hidden)],
    ['llama.feed_forward_length', u32(64)],
    ['llama.attention.head_count', u32(4)],
    ['llama.attention.head_count_kv', u32(2)],
    ['llama.attention.layer_norm_rms_epsilon', f32(1e-5)],
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('smollm')],
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.token_type', numbers('i32', [2, 3, 3, 1, 1, 1, 1, 1])],
    ['tokenizer.ggml.merges', texts(['a b'])],
    ['tokenizer.ggml.eos_token_id', u32(2)],
  ]
  return { pairs, tensors, data: offset }
}
