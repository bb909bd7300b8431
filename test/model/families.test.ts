import { describe, expect, it } from 'vitest'
import { scoredLayers } from '../../src/engine/spec.js'
import { Config } from '../../src/model/config.js'
import type { ModelPlan } from '../../src/model/families/family.js'
import { familyOf } from '../../src/model/families/index.js'
import { yarnRope } from '../../src/model/rope-scaling.js'

const sizes = {
  num_hidden_layers: 6,
  hidden_size: 64,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  vocab_size: 512,
}

function plan(architecture: string, fields: object = {}): ModelPlan {
  const config = new Config('config.json', { architectures: [architecture], ...sizes, ...fields })
  return familyOf(config).plan(config)
}

function names(architecture: string, fields: object = {}, there: string[] = []): Map<string, string> {
  const config = new Config('config.json', { architectures: [architecture], ...sizes, ...fields })
  const family = familyOf(config)
  const weights = family.weights(config, family.plan(config).spec, (name) => there.includes(name))
  return new Map(weights.map(({ role, name }) => [role, name]))
}

const windows = ({ spec }: ModelPlan): number[] => spec.layers.map(({ attention }) => attention.window)

describe('Mistral', () => {
  it('slides by 4096 where the config leaves the window out, and not at all where it is null', () => {
    expect(windows(plan('MistralForCausalLM'))).toEqual(Array(6).fill(4096))
    expect(windows(plan('MistralForCausalLM', { sliding_window: null }))).toEqual(Array(6).fill(0))
  })

  it('scores all layers when all slide, and forgets a window that no context outgrows', () => {
    const sliding = plan('MistralForCausalLM', { sliding_window: 100 })
    expect([...scoredLayers(sliding.spec)]).toEqual([0, 1, 2, 3, 4, 5])
    const wide = plan('MistralForCausalLM', { sliding_window: 4096, max_position_embeddings: 4096 })
    expect(windows(wide)).toEqual(Array(6).fill(0))
  })
})

describe('Qwen2', () => {
  it('slides from max_window_layers on, only if switched on, and scores the layers before', () => {
    const fields = { sliding_window: 128, max_window_layers: 4 }
    expect(windows(plan('Qwen2ForCausalLM', fields))).toEqual(Array(6).fill(0))
    const hybrid = plan('Qwen2ForCausalLM', { ...fields, use_sliding_window: true })
    expect(windows(hybrid)).toEqual([0, 0, 0, 0, 128, 128])
    expect([...scoredLayers(hybrid.spec)]).toEqual([0, 1, 2, 3])
  })
})

describe('Qwen3', () => {
  it('turns contexts past 32768 positions by YaRN, as KVzip does with all of them, and says so', () => {
    const { spec, longContext } = plan('Qwen3ForCausalLM', {
      max_position_embeddings: 40960,
      rope_theta: 1e6,
    })
    expect(spec.maxPositions).toBe(40960)
    expect(longContext).toMatchObject({ above: 32768, maxPositions: 131072, note: 'yarn 4 over 32768' })
    const yarn = yarnRope(1e6, 128, { factor: 4, originalMaxPositions: 32768 })
    expect(longContext!.ropes(40000)).toEqual([yarn])
    expect(spec.ropes[0]).not.toEqual(yarn)
  })

  it('leaves models alone that have yarn in their config, or read further by themselves', () => {
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768 }
    const plain = { rope_type: 'default', rope_theta: 1e6 }
    const spelt = plan('Qwen3ForCausalLM', { max_position_embeddings: 40960, rope_parameters: plain })
    expect(spelt.longContext!.ropes(1)[0]!.invFreq[1]).toBeCloseTo(1e6 ** (-2 / 128), 6)
    const scaled = plan('Qwen3ForCausalLM', { max_position_embeddings: 40960, rope_scaling: yarn })
    expect([scaled.longContext, scaled.spec.maxPositions]).toEqual([undefined, 131072])
    expect(plan('Qwen3MoeForCausalLM', { max_position_embeddings: 262144 }).longContext).toBeUndefined()
  })
})

describe('Gemma 3', () => {
  it("fills in what Google's configs leave out", () => {
    const { spec } = plan('Gemma3ForConditionalGeneration', {
      text_config: {
        hidden_size: 2560,
        intermediate_size: 10240,
        num_hidden_layers: 34,
        sliding_window: 1024,
      },
    })
    expect(spec.layers).toHaveLength(34)
    expect(spec).toMatchObject({
      vocabSize: 262208,
      maxPositions: 131072,
      normOffset: 1,
      embedScale: Math.sqrt(2560),
      activation: 'gelu_tanh',
    })
    expect([...scoredLayers(spec)]).toEqual([5, 11, 17, 23, 29])
    const shared = { heads: 8, kvHeads: 4, headDim: 256, scale: 1 / 16, headNorms: true }
    expect(spec.layers[0]).toMatchObject({ attention: { ...shared, window: 1024, rope: 1 }, scored: false })
    expect(spec.layers[5]).toMatchObject({ attention: { ...shared, window: 0, rope: 0 }, scored: true })
    expect(spec.ropes[1]!.invFreq[1]).toBeCloseTo(10000 ** (-2 / 256), 7)
  })

  it('reads both ropes where transformers 5 writes them', () => {
    const old = {
      rope_theta: 2e6,
      rope_scaling: { rope_type: 'linear', factor: 8 },
      rope_local_base_freq: 5000,
    }
    const now = {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 2e6 },
      sliding_attention: { rope_type: 'default', rope_theta: 5000 },
    }
    const { ropes } = plan('Gemma3ForCausalLM', old).spec
    expect(plan('Gemma3ForCausalLM', { rope_parameters: now }).spec.ropes).toEqual(ropes)
    expect(ropes).toHaveLength(2)
  })

  it.each([
    ['model.', []],
    ['language_model.model.', ['language_model.model.embed_tokens.weight']],
    ['model.language_model.', ['model.language_model.embed_tokens.weight']],
  ])('finds the decoder under %s', (prefix, there) => {
    const weights = names('Gemma3ForConditionalGeneration', { text_config: sizes }, there)
    expect(weights.get('layers.3.mlp_norm')).toBe(`${prefix}layers.3.pre_feedforward_layernorm.weight`)
    expect(weights.get('layers.3.attn_out_norm')).toBe(`${prefix}layers.3.post_attention_layernorm.weight`)
    expect(weights.get('lm_head')).toBe(`${prefix}embed_tokens.weight`)
  })
})

describe('MoE layers', () => {
  it('leave layers dense that the config lists or steps over', () => {
    const { spec } = plan('Qwen3MoeForCausalLM', { decoder_sparse_step: 2, mlp_only_layers: [3] })
    const experts = spec.layers.map(({ mlp }) => ('experts' in mlp ? mlp.experts : 0))
    expect(experts).toEqual([0, 128, 0, 0, 0, 128])
    expect(spec.layers[1]!.mlp).toMatchObject({
      experts: 128,
      perToken: 8,
      intermediateSize: 768,
      normalise: false,
    })
  })

  it('name their experts as the checkpoints do', () => {
    const mixtral = names('MixtralForCausalLM', { num_local_experts: 2 })
    expect(mixtral.get('layers.1.router')).toBe('model.layers.1.block_sparse_moe.gate.weight')
    expect(mixtral.get('layers.1.experts.1.down')).toBe('model.layers.1.block_sparse_moe.experts.1.w2.weight')
    const qwen = names('Qwen2MoeForCausalLM', { num_experts: 4, num_experts_per_tok: 1 })
    expect(qwen.get('layers.0.shared.up')).toBe('model.layers.0.mlp.shared_expert.up_proj.weight')
    expect(qwen.get('layers.0.shared_router')).toBe('model.layers.0.mlp.shared_expert_gate.weight')
  })
})

describe('Phi-3', () => {
  it('cuts fused projections into rows', () => {
    const config = new Config('config.json', { architectures: ['Phi3ForCausalLM'], ...sizes })
    const family = familyOf(config)
    const weights = family.weights(config, family.plan(config).spec, () => true)
    const of = (role: string) => weights.find((weight) => weight.role === role)
    const qkv = { name: 'model.layers.0.self_attn.qkv_proj.weight', shape: [128, 64] }
    expect(of('layers.0.q')).toMatchObject({ ...qkv, rows: [0, 64] })
    expect(of('layers.0.k')).toMatchObject({ ...qkv, rows: [64, 32] })
    expect(of('layers.0.v')).toMatchObject({ ...qkv, rows: [96, 32] })
    expect(of('layers.0.up')).toMatchObject({
      name: 'model.layers.0.mlp.gate_up_proj.weight',
      rows: [96, 96],
    })
  })

  it('knows longrope by its first names', () => {
    const factors = { short_factor: Array(8).fill(1), long_factor: Array(8).fill(2) }
    const fields = { max_position_embeddings: 131072, rope_scaling: { type: 'su', ...factors } }
    const { spec, longContext } = plan('Phi3ForCausalLM', fields)
    expect(spec.maxPositions).toBe(4096)
    expect(longContext).toMatchObject({ above: 4096, maxPositions: 131072, note: 'longrope over 4096' })
  })
})

describe('refusals name the field', () => {
  it.each<[string, string, object, string]>([
    ['another activation', 'Qwen3ForCausalLM', { hidden_act: 'gelu' }, 'hidden_act must be silu, got "gelu"'],
    [
      'a capped attention',
      'Gemma3ForCausalLM',
      { attn_logit_softcapping: 50 },
      'attn_logit_softcapping must be null, got 50',
    ],
    [
      'attention to both sides',
      'Gemma3ForCausalLM',
      { use_bidirectional_attention: true },
      'use_bidirectional_attention must be false, got true',
    ],
    [
      'layer types of another model',
      'Gemma3ForCausalLM',
      { layer_types: Array(6).fill('chunked_attention') },
      'layer_types must be a list of 6, each full_attention or sliding_attention',
    ],
    [
      'too few layer types',
      'Qwen2ForCausalLM',
      { use_sliding_window: true, layer_types: ['full_attention'] },
      'layer_types must be a list of 6, each',
    ],
    [
      'more experts a token than there are',
      'MixtralForCausalLM',
      { num_local_experts: 2, num_experts_per_tok: 3 },
      'num_experts_per_tok must be at most the number of experts, 2, got 3',
    ],
    [
      'windows that transformers is at odds about',
      'Qwen2MoeForCausalLM',
      { use_sliding_window: true },
      'use_sliding_window must be false, got true',
    ],
    [
      'longrope without its factors',
      'Phi3ForCausalLM',
      { rope_scaling: { type: 'longrope', short_factor: [1] } },
      'rope_scaling.short_factor must be a list of 8 positive numbers, got [1]',
    ],
    [
      'a part of the head that is odd',
      'Phi3ForCausalLM',
      { partial_rotary_factor: 0.3, head_dim: 10 },
      'partial_rotary_factor must be a share of head_dim 10 that is an even number, got 0.3',
    ],
    [
      'a negative cap',
      'Gemma3ForCausalLM',
      { final_logit_softcapping: -1 },
      'final_logit_softcapping must be a number of at least 0, got -1',
    ],
    [
      'layers that are none',
      'Qwen3MoeForCausalLM',
      { mlp_only_layers: [6] },
      'mlp_only_layers must be a list of integers from 0 to 5, got [6]',
    ],
  ])('%s', (_, architecture, fields, sentence) => {
    expect(() => plan(architecture, fields)).toThrow(`config.json: ${sentence}`)
  })
})
