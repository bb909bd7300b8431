import type { LayerSpec } from '../../engine/spec.js'
import { checkSilu, decoderPlan, slide, uniformWindow } from './decoder.js'
import type { Family } from './family.js'
import { withExperts } from './moe.js'
import { attentionWeights, type LayerWeight, modelWeights, moeWeights, normWeights } from './tensors.js'

/** Defaults: transformers' MixtralConfig. */
export const mixtral: Family = {
  name: 'Mixtral',
  models: 'Mixtral 8x7B, 8x22B',
  traits: 'mixture of experts',
  architectures: ['MixtralForCausalLM'],
  chat: undefined,
  plan(config) {
    checkSilu(config)
    const plan = decoderPlan(config, { maxPositions: 131072, normEps: 1e-5, ropeTheta: 1e6, kvHeads: 8 })
    const moe = {
      experts: config.positiveInteger('num_local_experts', 8),
      perToken: config.positiveInteger('num_experts_per_tok', 2),
      intermediateSize: config.positiveInteger('intermediate_size'),
      sharedIntermediateSize: 0,
      normalise: true,
    }
    return withExperts(config, slide(plan, uniformWindow(config, 0)), moe, () => true)
  },
  weights(config, spec) {
    const layerWeights = (layer: LayerSpec): LayerWeight[] => [
      ...normWeights(spec),
      ...attentionWeights(spec, layer),
      ...moeWeights(spec, layer, { at: 'block_sparse_moe.', names: ['w1', 'w3', 'w2'] }),
    ]
    return modelWeights(spec, layerWeights, { tied: config.flag('tie_word_embeddings', false) })
  },
}
