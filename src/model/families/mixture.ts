/** What mixtures of experts share. */

import type { Mixture } from '../../engine/spec.js'
import type { Config } from '../config.js'
import type { ModelPlan } from './family.js'

/** @param mixed whether a layer is a mixture */
export function mix(
  config: Config,
  plan: ModelPlan,
  mixture: Mixture,
  mixed: (layer: number) => boolean,
): ModelPlan {
  if (mixture.perToken > mixture.experts)
    throw config.mustBe('num_experts_per_tok', `at most the number of experts, ${mixture.experts}`)
  const layerKinds = plan.spec.layerKinds.map((kind, layer) => ({ ...kind, mixture: mixed(layer) }))
  const some = layerKinds.some((kind) => kind.mixture)
  return { ...plan, spec: { ...plan.spec, layerKinds, mixture: some ? mixture : null } }
}

/** Qwen's way to leave some layers dense: every so many is a mixture, and listed ones are not. */
export function qwenMixedLayers(config: Config, layers: number): (layer: number) => boolean {
  const step = config.positiveInteger('decoder_sparse_step', 1)
  const dense = new Set(config.indices('mlp_only_layers', layers))
  return (layer) => !dense.has(layer) && (layer + 1) % step === 0
}
