import { isMoe } from '../../engine/spec.js'
import { checkSilu, decoderPlan, slide, withHeadNorms } from './decoder.js'
import type { Family } from './family.js'
import { qwenSparseLayers, withExperts } from './moe.js'
import { qwen3Attention, withYarn } from './qwen3.js'
import { mlpWeights, modelWeights, moeWeights } from './tensors.js'

/** Defaults: transformers' Qwen3MoeConfig. */
export const qwen3Moe: Family = {
  name: 'Qwen3 MoE',
  models: 'Qwen3-30B-A3B, Qwen3-235B-A22B',
  traits: 'mixture of experts; otherwise as Qwen3',
  architectures: ['Qwen3MoeForCausalLM'],
  chat: 'qwen3',
  plan(config) {
    checkSilu(config)
    const plan = decoderPlan(config, { maxPositions: 32768, normEps: 1e-6, ropeTheta: 10000, kvHeads: 4 })
    const window = config.flag('use_sliding_window', false)
      ? config.positiveInteger('sliding_window', 4096)
      : 0
    const normed = slide(withHeadNorms(plan), window)
    const moe = {
      experts: config.positiveInteger('num_experts', 128),
      perToken: config.positiveInteger('num_experts_per_tok', 8),
      intermediateSize: config.positiveInteger('moe_intermediate_size', 768),
      sharedIntermediateSize: 0,
      normalise: config.flag('norm_topk_prob', false),
    }
    const isSparse = qwenSparseLayers(config, plan.spec.layers.length)
    return withYarn(config, withExperts(config, normed, moe, isSparse))
  },
  weights(config, spec) {
    return modelWeights(
      spec,
      (layer) => [
        ...qwen3Attention(config, spec, layer),
        ...(isMoe(layer.mlp) ? moeWeights(spec, layer) : mlpWeights(spec, layer.mlp.intermediateSize)),
      ],
      { tied: config.flag('tie_word_embeddings', false) },
    )
  },
}
