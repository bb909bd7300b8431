import type { LayerSpec } from '../../engine/spec.js'
import { checkSilu, decoderPlan } from './decoder.js'
import type { Family } from './family.js'
import { attentionWeights, type LayerWeight, mlpWeights, modelWeights, normWeights } from './tensors.js'

/** Defaults: transformers' LlamaConfig. */
export const llama: Family = {
  name: 'Llama',
  models: 'Llama 2, 3, 3.1, 3.2, SmolLM2 and the many models in this layout',
  traits: '',
  architectures: ['LlamaForCausalLM'],
  chat: 'llama3',
  plan(config) {
    checkSilu(config)
    return decoderPlan(config, { maxPositions: 2048, normEps: 1e-6, ropeTheta: 10000 })
  },
  weights(config, spec) {
    const attention = config.flag('attention_bias', false)
    const mlp = config.flag('mlp_bias', false)
    const biased = { q: attention, k: attention, v: attention, o: attention, gate: mlp, up: mlp, down: mlp }
    const layerWeights = (layer: LayerSpec): LayerWeight[] => [
      ...normWeights(spec),
      ...attentionWeights(spec, layer, biased),
      ...mlpWeights(spec, layer.mlp.intermediateSize, { biased }),
    ]
    return modelWeights(spec, layerWeights, { tied: config.flag('tie_word_embeddings', false) })
  },
}
