/** A model of realistic shape with random weights on a GPU, without a download. */

import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JobOptions } from '../engine/job.js'
import type { Device } from '../engine/open.js'
import { invalidParameter } from '../errors.js'
import { claimTemporary, releaseTemporary, sweepTemporaries } from '../files/temporary.js'
import { loadModel, type Model } from '../inference/model.js'
import { type ShapeName, type SparseModel, writeSparseModel } from './shapes.js'

export interface ShapeBenchOptions extends JobOptions {
  shape: ShapeName
  /** Context tokens, one run each */
  tokens: number[]
  /** How many of the shape's layers to run; all when left out. */
  layers?: number | undefined
  device?: Device | undefined
  gpuMemory?: number | undefined
  /** Tell where the GPU's time went. */
  kernelTimes?: boolean | undefined
}

export async function withShape<T>(
  options: ShapeBenchOptions,
  use: (model: Model, sparse: SparseModel) => Promise<T>,
): Promise<T> {
  const { shape, tokens, device, gpuMemory, kernelTimes } = options
  if (tokens.length === 0 || tokens.some((n) => !Number.isInteger(n) || n < 1))
    throw invalidParameter('tokens', 'positive integers', tokens)
  await sweepTemporaries(tmpdir())
  const scratch = claimTemporary(join(tmpdir(), 'headzip-shape'))
  try {
    mkdirSync(scratch, { mode: 0o700 })
    const sparse = writeSparseModel(join(scratch, shape), shape, options.layers)
    const model = await loadModel(sparse.folder, { device, gpuMemory, kernelTimes, randomWeights: 1 })
    try {
      return await use(model, sparse)
    } finally {
      model.close()
    }
  } finally {
    await releaseTemporary(scratch)
  }
}
