import type { LayerSpec } from '../../engine/spec.js'
import { checkSilu, decoderPlan, slide, uniformWindow } from './decoder.js'
import type { Family } from './family.js'
import { attentionWeights, type LayerWeight, mlpWeights, modelWeights, normWeights } from './tensors.js'

/** Defaults: transformers' MistralConfig, whose window is 4096 where the config does not name one. */
export const mistral: Family = {
  name: 'Mistral',
  models: 'Mistral 7B, Nemo, Small',
  traits: 'one sliding window in all layers, where the config has one',
  architectures: ['MistralForCausalLM'],
  chat: undefined,
  plan(config) {
    checkSilu(config)
    const plan = decoderPlan(config, { maxPositions: 131072, normEps: 1e-6, ropeTheta: 10000, kvHeads: 8 })
    return slide(plan, uniformWindow(config, 4096))
  },
  weights(config, spec) {
    const layerWeights = (layer: LayerSpec): LayerWeight[] => [
      ...normWeights(spec),
      ...attentionWeights(spec, layer),
      ...mlpWeights(spec, layer.mlp.intermediateSize),
    ]
    return modelWeights(spec, layerWeights, { tied: config.flag('tie_word_embeddings', false) })
  },
}
