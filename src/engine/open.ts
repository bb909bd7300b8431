/** A model description becomes a native engine. */

import { invalidParameter } from '../errors.js'
import { loadAddon, type NativeEngine } from './binding.js'
import type { EngineSpec, WeightRef } from './spec.js'

export type Device = 'auto' | 'cpu' | 'cuda'

export interface EngineOptions {
  /** `auto` takes a GPU where there is one. */
  device?: Device | undefined
  /** CPU threads; all cores when left out. */
  threads?: number | undefined
}

export interface OpenedEngine {
  engine: NativeEngine
  /** `cpu/fp32` */
  arithmetic: string
  device: 'cpu' | 'cuda'
}

/** @throws Error (code HEADZIP_ENGINE) when native code refuses the model */
export function openEngine(
  spec: EngineSpec,
  weights: WeightRef[],
  options: EngineOptions = {},
): OpenedEngine {
  const { device = 'auto', threads = 0 } = options
  if (!['auto', 'cpu', 'cuda'].includes(device)) throw invalidParameter('device', 'auto, cpu or cuda', device)
  if (!Number.isInteger(threads) || threads < 0 || threads > 4096)
    throw invalidParameter('threads', 'an integer from 0 to 4096', threads)
  const files = [...new Set(weights.map((weight) => weight.file))]
  const index = new Map(files.map((file, i) => [file, i]))
  const { Engine } = loadAddon()
  const chosen = device === 'auto' ? 'cpu' : device
  const engine = new Engine({
    device: chosen,
    threads,
    spec,
    files,
    weights: weights.map((weight) => ({ ...weight, file: index.get(weight.file) ?? 0 })),
  })
  return { engine, device: chosen, arithmetic: 'cpu/fp32' }
}
