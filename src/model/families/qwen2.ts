import type { LayerSpec } from '../../engine/spec.js'
import { checkSilu, decoderPlan } from './decoder.js'
import type { Family } from './family.js'
import { qwenWindows } from './qwen-windows.js'
import { attentionWeights, type LayerWeight, mlpWeights, modelWeights, normWeights } from './tensors.js'

/** Defaults: transformers' Qwen2Config. */
export const qwen2: Family = {
  name: 'Qwen2',
  models: 'Qwen2, Qwen2.5, also the 1M-token ones',
  traits: 'biases on queries, keys and values',
  architectures: ['Qwen2ForCausalLM'],
  chat: 'chatml',
  plan(config) {
    checkSilu(config)
    const plan = decoderPlan(config, { maxPositions: 32768, normEps: 1e-6, ropeTheta: 10000, kvHeads: 32 })
    return qwenWindows(config, plan)
  },
  weights(config, spec) {
    const layerWeights = (layer: LayerSpec): LayerWeight[] => [
      ...normWeights(spec),
      ...attentionWeights(spec, layer, { q: true, k: true, v: true }),
      ...mlpWeights(spec, layer.mlp.intermediateSize),
    ]
    return modelWeights(spec, layerWeights, { tied: config.flag('tie_word_embeddings', false) })
  },
}
