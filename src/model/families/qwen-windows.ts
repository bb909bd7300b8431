import type { Config } from '../config.js'
import { slidingLayers, withWindows } from './decoder.js'
import type { ModelPlan } from './family.js'

/** Qwen's layers from `max_window_layers` on slide, or those that `layer_types` names, if the config switches it on. */
export function qwenWindows(config: Config, plan: ModelPlan): ModelPlan {
  if (!config.flag('use_sliding_window', false)) return plan
  const window = config.positiveInteger('sliding_window', 4096)
  const first = config.has('max_window_layers') ? config.nonNegativeNumber('max_window_layers', 28) : 28
  const slides = slidingLayers(config, plan.spec.layers.length)
  return withWindows(plan, (layer) => ((slides?.[layer] ?? layer >= first) ? window : 0))
}
