import { type LayerSpec, scoredAttention } from '../../engine/spec.js'
import { InputError } from '../../errors.js'
import type { Config } from '../config.js'
import { inverseFrequencies } from '../rope-scaling.js'
import { decoderPlan, slidingLayers, withAttention, withWindows } from './decoder.js'
import type { Family, ModelPlan } from './family.js'
import { attentionWeights, headNormWeights, type LayerWeight, mlpWeights, modelWeights } from './tensors.js'

/** What transformers' Gemma3TextConfig takes for fields that Google's configs leave out. */
const defaults = {
  vocab_size: 262208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  head_dim: 256,
}

/** The decoder's part of a config: that of a text model, or inside that of one that sees pictures. */
function textConfig(config: Config): Config {
  const text = config.section('text_config') ?? config
  // transformers 5 writes both ropes into one field.
  const ropes = text.section('rope_parameters')
  const [full, local] = [ropes?.section('full_attention'), ropes?.section('sliding_attention')]
  return text.with((fields) => ({
    ...defaults,
    ...fields,
    ...(full && { rope_parameters: full.fields }),
    ...(local && { rope_local_base_freq: local.fields.rope_theta }),
  }))
}

function plan(whole: Config): ModelPlan {
  const config = textConfig(whole)
  config.oneOf('hidden_activation', ['gelu_pytorch_tanh'])
  if (config.flag('use_bidirectional_attention', false))
    throw config.mustBe('use_bidirectional_attention', 'false')
  if (config.has('attn_logit_softcapping')) throw config.mustBe('attn_logit_softcapping', 'null')
  const decoder = decoderPlan(config, {
    maxPositions: 131072,
    normEps: 1e-6,
    ropeTheta: 1e6,
    kvHeads: 4,
  })
  if (decoder.longContext)
    throw new InputError(`${config.file}: rope that changes with the context is not supported for Gemma 3`)
  const pattern = config.positiveInteger(
    'sliding_window_pattern',
    config.positiveInteger('_sliding_window_pattern', 6),
  )
  const slides = slidingLayers(config, decoder.spec.layers.length)
  const window = config.positiveInteger('sliding_window', 4096)
  const { headDim } = scoredAttention(decoder.spec)
  const local = inverseFrequencies(config.positiveNumber('rope_local_base_freq', 10000), headDim)
  const scale = config.positiveNumber('query_pre_attn_scalar', 256) ** -0.5
  const windowed = withWindows(decoder, (layer) =>
    (slides?.[layer] ?? (layer + 1) % pattern !== 0) ? window : 0,
  )
  const { spec } = withAttention(windowed, (layer) => ({
    scale,
    headNorms: true,
    rope: layer.window === 0 ? 0 : 1,
  }))
  return {
    spec: {
      ...spec,
      normOffset: 1,
      embedScale: Math.sqrt(spec.hiddenSize),
      logitCap: config.nonNegativeNumber('final_logit_softcapping', 0),
      activation: 'gelu_tanh',
      outNorms: true,
      ropes: [...spec.ropes, { invFreq: local, scale: 1 }],
    },
  }
}

/** Where checkpoints of different ages keep the decoder, and its output head. */
const locations = [
  { prefix: 'model.', head: 'lm_head.weight' },
  { prefix: 'language_model.model.', head: 'language_model.lm_head.weight' },
  { prefix: 'model.language_model.', head: 'lm_head.weight' },
] as const

export const gemma3: Family = {
  name: 'Gemma 3',
  models: 'Gemma 3 1B to 27B, the text part of those that see pictures',
  traits: 'global layers are scored and evicted, sliding layers keep their window',
  architectures: ['Gemma3ForCausalLM', 'Gemma3ForConditionalGeneration'],
  chat: 'gemma',
  plan,
  weights(whole, spec, holds) {
    const config = textConfig(whole)
    const biased = config.flag('attention_bias', false)
    const norm = (role: string, name: string): LayerWeight => ({ role, name, shape: [spec.hiddenSize] })
    const layerWeights = (layer: LayerSpec): LayerWeight[] => [
      norm('attn_norm', 'input_layernorm.weight'),
      ...attentionWeights(spec, layer, { q: biased, k: biased, v: biased, o: biased }),
      ...headNormWeights(layer),
      norm('attn_out_norm', 'post_attention_layernorm.weight'),
      norm('mlp_norm', 'pre_feedforward_layernorm.weight'),
      ...mlpWeights(spec, layer.mlp.intermediateSize),
      norm('mlp_out_norm', 'post_feedforward_layernorm.weight'),
    ]
    const location = locations.find(({ prefix }) => holds(`${prefix}embed_tokens.weight`)) ?? locations[0]
    const tied = config.flag('tie_word_embeddings', whole.flag('tie_word_embeddings', true))
    return modelWeights(spec, layerWeights, { ...location, tied })
  },
}
