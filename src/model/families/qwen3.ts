import { type EngineSpec, type LayerSpec, scoredAttention } from '../../engine/spec.js'
import type { Config } from '../config.js'
import { ropeFields } from '../rope.js'
import { yarnRope } from '../rope-scaling.js'
import { checkSilu, decoderPlan, withHeadNorms } from './decoder.js'
import type { Family, ModelPlan } from './family.js'
import { qwenWindows } from './qwen-windows.js'
import {
  attentionWeights,
  headNormWeights,
  type LayerWeight,
  mlpWeights,
  modelWeights,
  normWeights,
} from './tensors.js'

/** Positions that Qwen3 was trained with, and how far YaRN stretches them (the models' cards). */
const trained = 32768
const stretch = 4
/** Releases for this many positions and fewer; later ones read further by themselves. */
const untilYarn = 40960

/**
 * KVzip's published code loads every Qwen3 with YaRN. We do where a context needs more positions than the model was
 * trained with: below that it costs accuracy and changes the scores.
 */
export function withYarn(config: Config, plan: ModelPlan): ModelPlan {
  const { maxPositions } = plan.spec
  const { headDim } = scoredAttention(plan.spec)
  const { type, theta } = ropeFields(config, 10000)
  if (type !== 'default' || maxPositions < trained || maxPositions > untilYarn) return plan
  const rope = yarnRope(theta, headDim, { factor: stretch, originalMaxPositions: trained })
  return {
    ...plan,
    longContext: {
      above: trained,
      maxPositions: stretch * trained,
      note: `yarn ${stretch} over ${trained}`,
      ropes: () => [rope],
    },
  }
}

/** Attention and norms, which Qwen3's MoE models share. */
export function qwen3Attention(config: Config, spec: EngineSpec, layer: LayerSpec): LayerWeight[] {
  const biased = config.flag('attention_bias', false)
  return [
    ...normWeights(spec),
    ...attentionWeights(spec, layer, { q: biased, k: biased, v: biased, o: biased }),
    ...headNormWeights(layer),
  ]
}

/** Defaults: transformers' Qwen3Config. */
export const qwen3: Family = {
  name: 'Qwen3',
  models: 'Qwen3 0.6B to 32B',
  traits: `norms on queries and keys; YaRN (factor ${stretch}) for contexts past ${trained} positions`,
  architectures: ['Qwen3ForCausalLM'],
  chat: 'qwen3',
  plan(config) {
    checkSilu(config)
    const defaults = { maxPositions: 32768, normEps: 1e-6, ropeTheta: 10000, headDim: 128, kvHeads: 32 }
    const plan = qwenWindows(config, decoderPlan(config, defaults))
    return withYarn(config, withHeadNorms(plan))
  },
  weights(config, spec) {
    const layerWeights = (layer: LayerSpec): LayerWeight[] => [
      ...qwen3Attention(config, spec, layer),
      ...mlpWeights(spec, layer.mlp.intermediateSize),
    ]
    return modelWeights(spec, layerWeights, { tied: config.flag('tie_word_embeddings', false) })
  },
}
