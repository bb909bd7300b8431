/** What mixtures of experts (MoE) share. */

import { isMoe, type MoeSpec } from '../../engine/spec.js'
import type { Config } from '../config.js'
import type { ModelPlan } from './family.js'

/** Of all layers together; published models have fewer than 32,768. */
const mostExperts = 2 ** 16

/** @param isSparse whether a layer has experts */
export function withExperts(
  config: Config,
  plan: ModelPlan,
  moe: MoeSpec,
  isSparse: (layer: number) => boolean,
): ModelPlan {
  if (moe.perToken > moe.experts)
    throw config.mustBe('num_experts_per_tok', `at most the number of experts, ${moe.experts}`)
  const layers = plan.spec.layers.map((layer, at) => (isSparse(at) ? { ...layer, mlp: moe } : layer))
  const sparse = layers.filter(({ mlp }) => isMoe(mlp)).length
  // Each has a few weights that are listed before any file is looked at.
  if (sparse * moe.experts > mostExperts) {
    const name = config.has('num_local_experts') ? 'num_local_experts' : 'num_experts'
    throw config.mustBe(name, `at most ${Math.floor(mostExperts / sparse)} in ${sparse} layers`)
  }
  return { ...plan, spec: { ...plan.spec, layers } }
}

/** Qwen's way to leave some layers dense: every so many has experts, and listed ones do not. */
export function qwenSparseLayers(config: Config, layers: number): (layer: number) => boolean {
  const step = config.positiveInteger('decoder_sparse_step', 1)
  const dense = new Set(config.indices('mlp_only_layers', layers))
  return (layer) => !dense.has(layer) && (layer + 1) % step === 0
}
