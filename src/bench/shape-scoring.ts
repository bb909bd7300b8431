/** Scoring a model of realistic shape with random weights on a GPU: time and memory without a download. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KernelTime } from '../engine/binding.js'
import type { JobOptions } from '../engine/job.js'
import type { Device } from '../engine/open.js'
import { invalidParameter } from '../errors.js'
import { loadModel, type Model } from '../inference/model.js'
import type { Sweep } from '../scores/head-scores.js'
import { defaultChunkSize } from '../scoring/reconstruction.js'
import { type ShapeName, writeSparseModel } from './shapes.js'

export interface ShapeOptions extends JobOptions {
  shape: ShapeName
  /** Context tokens; the last is what the figures are for, the ones before warm up or compare. */
  tokens: number[]
  sweeps: Sweep[]
  /** How many of the shape's layers to run; all when left out. */
  layers?: number | undefined
  device?: Device | undefined
  gpuMemory?: number | undefined
  /** Tell where the GPU's time went. */
  kernelTimes?: boolean | undefined
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

const sinkTokens = 30
const promptTokens = 28

/** @throws Error (code HEADZIP_ENGINE) where there is no usable GPU */
export async function benchShape(options: ShapeOptions): Promise<ShapeRun[]> {
  const { shape, sweeps, onRun } = options
  if (options.tokens.length === 0 || options.tokens.some((n) => !Number.isInteger(n) || n < 1))
    throw invalidParameter('tokens', 'positive integers', options.tokens)
  const scratch = mkdtempSync(join(tmpdir(), 'headzip-shape-'))
  try {
    const sparse = writeSparseModel(join(scratch, shape), shape, options.layers)
    const { layers, allLayers, weightBytes, vocab } = sparse
    const { device, gpuMemory, kernelTimes } = options
    const model = await loadModel(sparse.folder, { device, gpuMemory, kernelTimes, randomWeights: 1 })
    try {
      const runs: ShapeRun[] = []
      await scoreRandom(model, Math.min(6000, ...options.tokens), 'full', vocab, options) // weights arrive, kernels load
      for (const tokens of options.tokens)
        for (const sweep of sweeps) {
          const { seconds, peakBytes, kernels } = await scoreRandom(model, tokens, sweep, vocab, options)
          const wholeSeconds = (seconds / layers) * allLayers
          runs.push({
            shape,
            layers,
            allLayers,
            tokens,
            sweep,
            seconds,
            wholeSeconds,
            peakBytes,
            weightBytes,
            kernels,
          })
          onRun?.(runs.at(-1)!)
        }
      return runs
    } finally {
      model.close()
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function scoreRandom(model: Model, tokens: number, sweep: Sweep, vocab: number, options: JobOptions) {
  let state = 1
  const random = (count: number): Int32Array =>
    Int32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return state % vocab
    })
  const contextIds = random(tokens)
  const chunks = Array.from({ length: Math.ceil(tokens / defaultChunkSize) }, (_, i) => {
    const start = i * defaultChunkSize
    const end = Math.min(start + defaultChunkSize, tokens)
    const ids = Int32Array.from([...random(promptTokens), ...contextIds.subarray(start, end)])
    return { start, end, ids }
  })
  return model.scorePairs({ ...options, sinkIds: random(sinkTokens), contextIds, chunks, sweep })
}
