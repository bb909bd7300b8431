/** What mixtures of experts share. */

import type { Mixture } from '../../engine/spec.js'
import type { Config } from '../config.js'
import type { ModelPlan } from './family.js'

/** Of all layers together; published models have fewer than 32,768. */
const mostExperts = 2 ** 16

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
  const mixtures = layerKinds.filter((kind) => kind.mixture).length
  // Each has a few weights that are listed before any file is looked at.
  if (mixtures * mixture.experts > mostExperts) {
    const name = config.has('num_local_experts') ? 'num_local_experts' : 'num_experts'
    throw config.mustBe(name, `at most ${Math.floor(mostExperts / mixtures)} in ${mixtures} layers`)
  }
  return { ...plan, spec: { ...plan.spec, layerKinds, mixture: mixtures > 0 ? mixture : null } }
}

/** Qwen's way to leave some layers dense: every so many is a mixture, and listed ones are not. */
export function qwenMixedLayers(config: Config, layers: number): (layer: number) => boolean {
  const step = config.positiveInteger('decoder_sparse_step', 1)
  const dense = new Set(config.indices('mlp_only_layers', layers))
  return (layer) => !dense.has(layer) && (layer + 1) % step === 0
}
