/** A GGUF file's metadata said in the words of config.json, so that families read both alike. */

import { InputError } from '../../errors.js'
import { Config } from '../config.js'
import type { GgufHeader } from './header.js'
import type { Metadata } from './metadata.js'
import { moeFields } from './moe.js'
import { phi3Fields } from './phi3.js'

/** `general.architecture` and the class whose layout it is. Mistral's files say llama, and so do Mixtral's. */
const architectures: Readonly<Record<string, { name: string; moe?: string; activation: string }>> = {
  llama: { name: 'LlamaForCausalLM', moe: 'MixtralForCausalLM', activation: 'silu' },
  qwen2: { name: 'Qwen2ForCausalLM', activation: 'silu' },
  qwen2moe: { name: '', moe: 'Qwen2MoeForCausalLM', activation: 'silu' },
  qwen3: { name: 'Qwen3ForCausalLM', activation: 'silu' },
  qwen3moe: { name: '', moe: 'Qwen3MoeForCausalLM', activation: 'silu' },
  gemma3: { name: 'Gemma3ForCausalLM', activation: 'gelu_pytorch_tanh' },
  phi3: { name: 'Phi3ForCausalLM', activation: 'silu' },
}

/** What `general.architecture` may be, and the classes that stands for. */
export const ggufArchitectures: readonly { name: string; classes: string[] }[] = Object.entries(
  architectures,
).map(([name, { name: plain, moe }]) => ({ name, classes: [plain, moe ?? ''].filter(Boolean) }))

const widestHead = 1024

export function architectureOf({ file, metadata }: GgufHeader): string {
  const name = metadata.text('general.architecture')
  if (Object.hasOwn(architectures, name)) return name
  const known = Object.keys(architectures).join(', ')
  throw new InputError(`${file}: the architecture ${name.slice(0, 80)} is not supported; supported: ${known}`)
}

/** @throws InputError naming the key that is missing or wrong */
export function ggufConfig(header: GgufHeader): Config {
  const { file, metadata, tensors } = header
  const architecture = architectureOf(header)
  const { activation } = architectures[architecture]!
  const key = (rest: string): string => `${architecture}.${rest}`
  const isMoe = metadata.number(key('expert_count'), 0) > 0
  const hidden = metadata.number(key('embedding_length'))
  const heads = metadata.number(key('attention.head_count'))
  const headDim = metadata.number(key('attention.key_length'), hidden / heads)
  const layers = metadata.number(key('block_count'))
  // What sizes lists is bounded before any list is made.
  if (layers > tensors.size)
    throw metadata.mustBe(key('block_count'), `at most the file's ${tensors.size} tensors`)
  if (headDim > widestHead) throw metadata.mustBe(key('attention.key_length'), `at most ${widestHead}`)
  const name = className(header, architecture, isMoe)
  if (metadata.number(key('attention.value_length'), headDim) !== headDim)
    throw metadata.mustBe(key('attention.value_length'), `equal to the key length ${headDim}`)
  if (architecture !== 'phi3' && metadata.number(key('rope.dimension_count'), headDim) !== headDim)
    throw metadata.mustBe(key('rope.dimension_count'), `the head's ${headDim} dimensions`)
  const biased = tensors.has('blk.0.attn_q.bias')
  return new Config(file, {
    architectures: [name],
    hidden_size: hidden,
    intermediate_size: metadata.number(key('feed_forward_length')),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: metadata.number(key('attention.head_count_kv'), heads),
    head_dim: headDim,
    vocab_size: tensors.get('token_embd.weight')?.shape[0],
    max_position_embeddings: metadata.number(key('context_length')),
    rms_norm_eps: metadata.number(key('attention.layer_norm_rms_epsilon')),
    hidden_act: activation,
    hidden_activation: activation,
    tie_word_embeddings: !tensors.has('output.weight'),
    attention_bias: architecture === 'llama' && biased,
    mlp_bias: tensors.has('blk.0.ffn_gate.bias'),
    rope_theta: metadata.number(key('rope.freq_base'), 10000),
    rope_scaling: ropeScaling(metadata, key),
    ...(architecture === 'gemma3' && gemmaFields(metadata, key, { hidden, heads, headDim })),
    ...(architecture === 'phi3' && phi3Fields(header, key, headDim)),
    ...(isMoe && moeFields(header, key, { architecture, layers, biased })),
  })
}

function className({ file, metadata }: GgufHeader, architecture: string, isMoe: boolean): string {
  const { name, moe } = architectures[architecture]!
  const found = isMoe ? moe : name
  if (found) return found
  if (isMoe) throw new InputError(`${file}: MoE models of ${architecture} are not supported`)
  throw metadata.mustBe(`${architecture}.expert_count`, 'a positive integer')
}

/** Llama 3's scaling is not here: files carry its factors as a tensor, see `ropeFactors`. */
function ropeScaling(metadata: Metadata, key: (rest: string) => string): Record<string, unknown> | null {
  const type = metadata.text(key('rope.scaling.type'), 'none')
  // longrope is Phi-3's, whose factors are tensors.
  if (type === 'none' || (type === 'longrope' && key('') === 'phi3.')) return null
  const factor = metadata.number(key('rope.scaling.factor'))
  if (type === 'linear') return { rope_type: 'linear', factor }
  if (type !== 'yarn') throw metadata.mustBe(key('rope.scaling.type'), 'none, linear or yarn')
  const original = metadata.number(key('rope.scaling.original_context_length'))
  return { rope_type: 'yarn', factor, original_max_position_embeddings: original }
}

/** What llama.cpp knows of Gemma 3 by heart: every sixth layer is global, local ones rotate with base 10,000. */
function gemmaFields(
  metadata: Metadata,
  key: (rest: string) => string,
  { hidden, heads, headDim }: { hidden: number; heads: number; headDim: number },
): Record<string, unknown> {
  const layers27b = 62
  return {
    sliding_window: metadata.number(key('attention.sliding_window')),
    sliding_window_pattern: 6,
    rope_local_base_freq: metadata.number(key('rope.freq_base_swa'), 10000),
    // Not in the file: 168 for the 27B model, whose heads are narrower, the head's size for the others.
    query_pre_attn_scalar: metadata.number(key('block_count')) === layers27b ? hidden / heads : headDim,
  }
}
