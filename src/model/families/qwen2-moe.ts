import { isMoe, type LayerSpec } from '../../engine/spec.js'
import { checkSilu, decoderPlan } from './decoder.js'
import type { Family } from './family.js'
import { qwenSparseLayers, withExperts } from './moe.js'
import {
  attentionWeights,
  type LayerWeight,
  mlpWeights,
  modelWeights,
  moeWeights,
  normWeights,
} from './tensors.js'

/** Defaults: transformers' Qwen2MoeConfig. */
export const qwen2Moe: Family = {
  name: 'Qwen2 MoE',
  models: 'Qwen1.5-MoE, Qwen2-57B-A14B',
  traits: 'mixture of experts, one of them for every token',
  architectures: ['Qwen2MoeForCausalLM'],
  chat: 'chatml',
  plan(config) {
    checkSilu(config)
    // transformers' own implementations of this family disagree about which layers slide.
    if (config.flag('use_sliding_window', false)) throw config.mustBe('use_sliding_window', 'false')
    const plan = decoderPlan(config, { maxPositions: 32768, normEps: 1e-6, ropeTheta: 10000, kvHeads: 16 })
    const moe = {
      experts: config.positiveInteger('num_experts', 60),
      perToken: config.positiveInteger('num_experts_per_tok', 4),
      intermediateSize: config.positiveInteger('moe_intermediate_size', 1408),
      sharedIntermediateSize: config.positiveInteger('shared_expert_intermediate_size', 5632),
      normalise: config.flag('norm_topk_prob', false),
    }
    return withExperts(config, plan, moe, qwenSparseLayers(config, plan.spec.layers.length))
  },
  weights(config, spec) {
    const biased = config.flag('qkv_bias', true)
    const mlp = (layer: LayerSpec): LayerWeight[] => {
      if (!isMoe(layer.mlp)) return mlpWeights(spec, layer.mlp.intermediateSize)
      return [
        ...moeWeights(spec, layer),
        { role: 'shared_router', name: 'mlp.shared_expert_gate.weight', shape: [1, spec.hiddenSize] },
        ...mlpWeights(spec, layer.mlp.sharedIntermediateSize, { role: 'shared.', at: 'mlp.shared_expert.' }),
      ]
    }
    return modelWeights(
      spec,
      (layer) => [
        ...normWeights(spec),
        ...attentionWeights(spec, layer, { q: biased, k: biased, v: biased }),
        ...mlp(layer),
      ],
      { tied: config.flag('tie_word_embeddings', false) },
    )
  },
}
