/** Scoring a model of realistic shape with random weights on a GPU: time and memory without a download. */

import type { KernelTime } from '../engine/binding.js'
import type { JobOptions } from '../engine/job.js'
import type { Model } from '../inference/model.js'
import { defaultChunkSize } from '../model/reconstruction.js'
import type { Sweep } from '../scores/head-scores.js'
import { randomIds } from './random.js'
import { type ShapeBenchOptions, withShape } from './shape.js'
import type { ShapeName } from './shapes.js'

export interface ShapeOptions extends ShapeBenchOptions {
  /** The last run is what the figures are for, the ones before warm up or compare. */
  sweeps: Sweep[]
  /** Called after each run. */
  onRun?: ((run: ShapeRun) => void) | undefined
}

export interface ShapeRun {
  shape: ShapeName
  layers: number
  allLayers: number
  tokens: number
  sweep: Sweep
  seconds: number
  /** seconds, or for fewer layers than the model has, what they give for all of them */
  wholeSeconds: number
  /** Most GPU memory held, weights included */
  peakBytes: number
  weightBytes: number
  /** Seconds of each kind of work on the GPU; empty without `kernelTimes` */
  kernels: KernelTime[]
}

const prefixTokens = 30
const promptTokens = 28

/** @throws Error (code HEADZIP_ENGINE) where there is no usable GPU */
export async function benchShape(options: ShapeOptions): Promise<ShapeRun[]> {
  const { shape, sweeps, onRun } = options
  return withShape(options, async (model, { layers, allLayers, weightBytes, vocab }) => {
    const runs: ShapeRun[] = []
    await scoreRandom(model, Math.min(6000, ...options.tokens), 'full', vocab, options) // weights arrive, kernels load
    for (const tokens of options.tokens)
      for (const sweep of sweeps) {
        const { seconds, peakBytes, kernels } = await scoreRandom(model, tokens, sweep, vocab, options)
        const wholeSeconds = (seconds / layers) * allLayers
        const about = { shape, layers, allLayers, tokens, sweep }
        runs.push({ ...about, seconds, wholeSeconds, peakBytes, weightBytes, kernels })
        onRun?.(runs.at(-1)!)
      }
    return runs
  })
}

function scoreRandom(model: Model, tokens: number, sweep: Sweep, vocab: number, options: JobOptions) {
  const random = randomIds(vocab)
  const contextIds = random(tokens)
  const chunks = Array.from({ length: Math.ceil(tokens / defaultChunkSize) }, (_, i) => {
    const start = i * defaultChunkSize
    const end = Math.min(start + defaultChunkSize, tokens)
    const ids = Int32Array.from([...random(promptTokens), ...contextIds.subarray(start, end)])
    return { start, end, ids }
  })
  return model.scorePairs({ ...options, prefixIds: random(prefixTokens), contextIds, chunks, sweep })
}
