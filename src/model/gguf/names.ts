/** Names of tensors: what safetensors files call them, and what GGUF files do. */

import { InputError } from '../../errors.js'

const ofModel: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
}

const ofLayer: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  post_attention_layernorm: 'ffn_norm',
}

/** Gemma 3 has a norm after attention besides the one before its feed-forward part. */
const ofGemmaLayer: Readonly<Record<string, string>> = {
  ...ofLayer,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
}

/** `model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up.weight`. @throws InputError for a name without a counterpart */
export function ggufName(name: string, architecture: string): string {
  const whole = Object.hasOwn(ofModel, name) ? ofModel[name] : undefined
  if (whole !== undefined) return whole
  const [, layer, module, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? []
  const modules = architecture.startsWith('gemma') ? ofGemmaLayer : ofLayer
  if (module !== undefined && Object.hasOwn(modules, module)) return `blk.${layer}.${modules[module]}.${kind}`
  throw new InputError(`the tensor ${name} has no name in GGUF files that headzip knows`)
}
