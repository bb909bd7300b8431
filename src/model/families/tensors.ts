/** Names that most families give their tensors; a family picks from these and adds its own. */

import { type EngineSpec, isMoe, type LayerSpec } from '../../engine/spec.js'
import type { WeightName } from './family.js'

/** Linear layers that carry a bias. */
export type Biased = Partial<Record<'q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down', boolean>>

/** Weights of one layer: roles and names without what stands before them. */
export type LayerWeight = WeightName

/**
 * @param options.tied the output head is the embedding, whatever else the checkpoint holds
 * @param options.prefix of the decoder's tensors
 * @param options.head name of the output head
 */
export function modelWeights(
  spec: EngineSpec,
  layer: (layer: LayerSpec) => LayerWeight[],
  options: { tied: boolean; prefix?: string; head?: string },
): WeightName[] {
  const { tied, prefix = 'model.', head = 'lm_head.weight' } = options
  const { hiddenSize: hidden, vocabSize: vocab } = spec
  const embedding = `${prefix}embed_tokens.weight`
  return [
    { role: 'embed', name: embedding, shape: [vocab, hidden] },
    { role: 'final_norm', name: `${prefix}norm.weight`, shape: [hidden] },
    { role: 'lm_head', name: tied ? embedding : head, shape: [vocab, hidden] },
    ...spec.layers.flatMap((each, at) =>
      layer(each).map((weight) => ({
        ...weight,
        role: `layers.${at}.${weight.role}`,
        name: `${prefix}layers.${at}.${weight.name}`,
      })),
    ),
  ]
}

export function normWeights({ hiddenSize: hidden }: EngineSpec): LayerWeight[] {
  return [
    { role: 'attn_norm', name: 'input_layernorm.weight', shape: [hidden] },
    { role: 'mlp_norm', name: 'post_attention_layernorm.weight', shape: [hidden] },
  ]
}

export function attentionWeights(
  { hiddenSize: hidden }: EngineSpec,
  { attention: { heads, kvHeads, headDim } }: LayerSpec,
  biased: Biased = {},
): LayerWeight[] {
  const q = heads * headDim
  const kv = kvHeads * headDim
  return linear(biased, [
    ['q', 'self_attn.q_proj', q, hidden],
    ['k', 'self_attn.k_proj', kv, hidden],
    ['v', 'self_attn.v_proj', kv, hidden],
    ['o', 'self_attn.o_proj', hidden, q],
  ])
}

/** Norms of single heads' queries and keys. */
export function headNormWeights({ attention: { headDim } }: LayerSpec): LayerWeight[] {
  return [
    { role: 'q_norm', name: 'self_attn.q_norm.weight', shape: [headDim] },
    { role: 'k_norm', name: 'self_attn.k_norm.weight', shape: [headDim] },
  ]
}

/**
 * The three linear layers of a gated MLP.
 * @param inner its width; usually the layer's `mlp.intermediateSize`
 * @param options.role what stands before the roles, `shared.`
 * @param options.at what stands before the names, `mlp.`
 */
export function mlpWeights(
  { hiddenSize: hidden }: EngineSpec,
  inner: number,
  options: {
    role?: string
    at?: string
    names?: [gate: string, up: string, down: string]
    biased?: Biased
  } = {},
): LayerWeight[] {
  const { role = '', at = 'mlp.', names = ['gate_proj', 'up_proj', 'down_proj'], biased = {} } = options
  const [gate, up, down] = names
  return linear(biased, [
    ['gate', at + gate, inner, hidden],
    ['up', at + up, inner, hidden],
    ['down', at + down, hidden, inner],
  ]).map((weight) => ({ ...weight, role: role + weight.role }))
}

/** Router and experts of an MoE layer. @param options.at what stands before the names, `mlp.` */
export function moeWeights(
  spec: EngineSpec,
  { mlp }: LayerSpec,
  options: { at?: string; names?: [gate: string, up: string, down: string] } = {},
): LayerWeight[] {
  const { at = 'mlp.', names } = options
  if (!isMoe(mlp)) throw new Error('this layer has no experts')
  const { experts, intermediateSize: inner } = mlp
  return [
    { role: 'router', name: `${at}gate.weight`, shape: [experts, spec.hiddenSize] },
    ...Array.from({ length: experts }, (_, i) =>
      mlpWeights(spec, inner, {
        role: `experts.${i}.`,
        at: `${at}experts.${i}.`,
        ...(names && { names }),
      }),
    ).flat(),
  ]
}

function linear(
  biased: Biased,
  layers: [role: keyof Biased, name: string, out: number, into: number][],
): LayerWeight[] {
  return layers.flatMap(([role, name, out, into]) => [
    { role, name: `${name}.weight`, shape: [out, into] },
    ...(biased[role] ? [{ role: `${role}_bias`, name: `${name}.bias`, shape: [out] }] : []),
  ])
}
