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
  'self_attn.qkv_proj': 'attn_qkv',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  // Phi-3's gate and up, one below the other.
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate': 'ffn_gate_inp',
  'block_sparse_moe.gate': 'ffn_gate_inp',
  'mlp.shared_expert_gate': 'ffn_gate_inp_shexp',
  'mlp.shared_expert.gate_proj': 'ffn_gate_shexp',
  'mlp.shared_expert.up_proj': 'ffn_up_shexp',
  'mlp.shared_expert.down_proj': 'ffn_down_shexp',
}

/** Gemma 3 has a norm after attention besides the one before its feed-forward part. */
const ofGemmaLayer: Readonly<Record<string, string>> = {
  ...ofLayer,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
}

/** Of one expert; Mixtral numbers its linear layers. */
const ofExpert: Readonly<Record<string, string>> = {
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
  w1: 'ffn_gate',
  w3: 'ffn_up',
  w2: 'ffn_down',
}

export interface GgufName {
  name: string
  /** The weight is this one of the tensor's outermost dimension: all experts lie in one tensor. */
  expert?: number
  /** What it was called while each expert had a tensor of its own. */
  alone?: string
}

/** `model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up.weight`. @throws InputError for a name without a counterpart */
export function ggufName(name: string, architecture: string): GgufName {
  const whole = Object.hasOwn(ofModel, name) ? ofModel[name] : undefined
  if (whole !== undefined) return { name: whole }
  const [, layer, module, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? []
  const modules = architecture.startsWith('gemma') ? ofGemmaLayer : ofLayer
  if (module !== undefined && Object.hasOwn(modules, module))
    return { name: `blk.${layer}.${modules[module]}.${kind}` }
  const [, number, linear] = /^(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)$/.exec(module ?? '') ?? []
  if (linear !== undefined && Object.hasOwn(ofExpert, linear)) {
    const at = `blk.${layer}.${ofExpert[linear]}`
    return { name: `${at}_exps.${kind}`, expert: Number(number), alone: `${at}.${number}.${kind}` }
  }
  throw new InputError(`the tensor ${name} has no name in GGUF files that headzip knows`)
}
