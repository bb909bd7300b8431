/** A model description becomes a native engine. */

import { checkOptions } from '../check.js'
import { InputError, invalidParameter, withPrintableMessage } from '../errors.js'
import { loadAddon, type NativeEngine, type NativeEngineOptions } from './binding.js'
import type { EngineSpec, TensorLocation, WeightRef } from './spec.js'

export type Device = 'auto' | 'cpu' | 'cuda'

export interface EngineOptions {
  /** `auto`, the default, is the GPU where there is one that can be used, else the CPU; HEADZIP_DEVICE chooses for it. */
  device?: Device | undefined
  /** CPU threads; all cores when left out. */
  threads?: number | undefined
  /** Bytes that the engine may hold on the GPU, weights included; all that is free when left out. */
  gpuMemory?: number | undefined
  /** @internal seed of random weights, for benchmarks on a GPU */
  randomWeights?: number | undefined
  /** Tell where the GPU's time went (results' `kernels`). */
  kernelTimes?: boolean | undefined
}

export interface OpenedEngine {
  engine: NativeEngine
  /** `cpu/fp32` */
  arithmetic: string
  device: 'cpu' | 'cuda'
  /** Of one key or value in a cache. */
  elementBytes: number
}

/** @throws Error (code HEADZIP_ENGINE) when native code refuses the model */
export function openEngine(
  spec: EngineSpec,
  weights: WeightRef[],
  options: EngineOptions = {},
): OpenedEngine {
  checkEngine(options)
  const { device = 'auto', threads = 0, gpuMemory = 0, randomWeights = 0, kernelTimes = false } = options
  const files = [...new Set(weights.flatMap(({ file, scales }) => (scales ? [file, scales.file] : [file])))]
  const index = new Map(files.map((file, i) => [file, i]))
  const indexed = <T extends TensorLocation>(at: T) => ({ ...at, file: index.get(at.file) ?? 0 })
  const chosen = device === 'auto' ? automaticDevice() : device
  const engine = newEngine({
    device: chosen,
    threads,
    gpuMemory,
    randomWeights,
    kernelTimes,
    spec,
    files,
    weights: weights.map(({ scales, ...weight }) => ({
      ...indexed(weight),
      ...(scales && { scales: indexed(scales) }),
    })),
  })
  const { device: opened, element, elementBytes } = engine.describe()
  return { engine, device: opened, arithmetic: `${opened}/${element}`, elementBytes }
}

function newEngine(options: NativeEngineOptions): NativeEngine {
  const { Engine } = loadAddon()
  try {
    return new Engine(options)
  } catch (error) {
    throw withPrintableMessage(error)
  }
}

/** @throws TypeError or RangeError that names the option; nothing need be read or fetched before that */
export function checkEngine(options: EngineOptions): void {
  checkOptions(options, { randomWeights: 'count?', kernelTimes: 'flag?' })
  const { device = 'auto', threads = 0, gpuMemory = 0 } = options
  if (!['auto', 'cpu', 'cuda'].includes(device)) throw invalidParameter('device', 'auto, cpu or cuda', device)
  if (!Number.isInteger(threads) || threads < 0 || threads > 4096)
    throw invalidParameter('threads', 'an integer from 0 to 4096', threads)
  if (!Number.isSafeInteger(gpuMemory) || gpuMemory < 0)
    throw invalidParameter('gpuMemory', 'a number of bytes', gpuMemory)
}

/** @throws InputError when HEADZIP_DEVICE names no device */
export function automaticDevice(): 'cpu' | 'cuda' {
  const asked = process.env.HEADZIP_DEVICE ?? 'auto'
  if (asked === 'cpu' || asked === 'cuda') return asked
  if (asked !== 'auto' && asked !== '')
    throw new InputError(`HEADZIP_DEVICE must be auto, cpu or cuda, got '${asked}'`)
  const { reason, cublaslt } = loadAddon().devices().cuda
  return reason === '' && cublaslt !== '' ? 'cuda' : 'cpu'
}
