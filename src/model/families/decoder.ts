/** What decoder-only models in the manner of Llama share; families differ from it by a few lines. */

import type { EngineSpec, LayerRole } from '../../engine/spec.js'
import type { Config } from '../config.js'
import { readRope } from '../rope.js'
import type { WeightName } from './family.js'

/** Values that transformers takes for fields a config leaves out. */
export interface DecoderDefaults {
  maxPositions: number
  normEps: number
  ropeTheta: number
}

export function decoderSpec(config: Config, defaults: DecoderDefaults): EngineSpec {
  const hiddenSize = config.positiveInteger('hidden_size')
  const heads = config.positiveInteger('num_attention_heads')
  const kvHeads = config.positiveInteger('num_key_value_heads', heads)
  if (heads % kvHeads !== 0)
    throw config.mustBe('num_key_value_heads', `a divisor of num_attention_heads ${heads}`)
  if (!config.has('head_dim') && hiddenSize % heads !== 0) {
    throw config.mustBe(
      'hidden_size',
      `a multiple of num_attention_heads ${heads} where head_dim is not given`,
    )
  }
  const headDim = config.positiveInteger('head_dim', Math.floor(hiddenSize / heads))
  if (headDim % 2 !== 0) throw config.mustBe('head_dim', 'even, as rope turns pairs')
  config.oneOf('hidden_act', ['silu'])
  config.oneOf('partial_rotary_factor', [1])
  return {
    layers: config.positiveInteger('num_hidden_layers'),
    hiddenSize,
    heads,
    kvHeads,
    headDim,
    intermediateSize: config.positiveInteger('intermediate_size'),
    vocabSize: config.positiveInteger('vocab_size'),
    maxPositions: config.positiveInteger('max_position_embeddings', defaults.maxPositions),
    normEps: config.positiveNumber('rms_norm_eps', defaults.normEps),
    attentionScale: 1 / Math.sqrt(headDim),
    rope: readRope(config, headDim, defaults.ropeTheta),
  }
}

/** Linear layers that carry a bias. */
export type Biased = Partial<Record<'q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down', boolean>>

/** @param tied the output head is the embedding, whatever else the checkpoint holds */
export function decoderWeights(spec: EngineSpec, tied: boolean, biased: Biased): WeightName[] {
  const { hiddenSize: hidden, intermediateSize: inner, vocabSize: vocab } = spec
  const q = spec.heads * spec.headDim
  const kv = spec.kvHeads * spec.headDim
  const linear: [keyof Biased, string, number, number][] = [
    ['q', 'self_attn.q_proj', q, hidden],
    ['k', 'self_attn.k_proj', kv, hidden],
    ['v', 'self_attn.v_proj', kv, hidden],
    ['o', 'self_attn.o_proj', hidden, q],
    ['gate', 'mlp.gate_proj', inner, hidden],
    ['up', 'mlp.up_proj', inner, hidden],
    ['down', 'mlp.down_proj', hidden, inner],
  ]
  const ofLayer: { role: LayerRole; name: string; shape: number[] }[] = [
    { role: 'attn_norm', name: 'input_layernorm.weight', shape: [hidden] },
    { role: 'mlp_norm', name: 'post_attention_layernorm.weight', shape: [hidden] },
    ...linear.map(([role, name, out, into]) => ({ role, name: `${name}.weight`, shape: [out, into] })),
    ...linear
      .filter(([role]) => biased[role])
      .map(([role, name, out]) => ({ role: `${role}_bias` as const, name: `${name}.bias`, shape: [out] })),
  ]
  const embedding = 'model.embed_tokens.weight'
  return [
    { role: 'embed', name: embedding, shape: [vocab, hidden] },
    { role: 'final_norm', name: 'model.norm.weight', shape: [hidden] },
    { role: 'lm_head', name: tied ? embedding : 'lm_head.weight', shape: [vocab, hidden] },
    ...Array.from({ length: spec.layers }, (_, layer) =>
      ofLayer.map(({ role, name, shape }) => ({
        role: `layers.${layer}.${role}`,
        name: `model.layers.${layer}.${name}`,
        shape,
      })),
    ).flat(),
  ]
}
