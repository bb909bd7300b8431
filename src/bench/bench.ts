/** Rates of this machine: kernels against the multiply-add peak measured beside them, and whole scoring runs. */

import { loadAddon } from '../engine/binding.js'
import type { JobOptions } from '../engine/job.js'
import type { Model } from '../inference/model.js'
import { defaultChunkSize, reconstructionInputs } from '../model/reconstruction.js'
import { spearman } from '../scores/compare.js'
import type { Sweep } from '../scores/head-scores.js'

export interface KernelRate {
  name: string
  gflops: number
  /** Share of the fused multiply-add peak of the same run, 0..1 */
  ofPeak: number
}

/** Peak first and last; the larger is the yardstick, so that a throttled moment flatters nobody. */
export async function benchKernels(): Promise<{
  isa: string
  threads: number
  peakGflops: number
  rates: KernelRate[]
}> {
  const addon = loadAddon()
  const { isa, threads } = addon.devices()
  const rows = (await addon.bench()).map(({ name, seconds, flops }) => ({
    name,
    gflops: flops / seconds / 1e9,
  }))
  const isPeak = ({ name }: { name: string }): boolean => name.includes('peak')
  const peakGflops = Math.max(...rows.filter(isPeak).map(({ gflops }) => gflops))
  const rates = rows.filter((row) => !isPeak(row)).map((row) => ({ ...row, ofPeak: row.gflops / peakGflops }))
  return { isa, threads, peakGflops, rates }
}

export interface ScoreRun {
  sweep: Sweep
  seconds: number
  contextTokensPerSecond: number
  peakBytes: number
  /** Rank correlation of the head scores with those of the full sweep */
  spearmanToFull: number
}

/** Scores the first `tokens` tokens of one text under each sweep. */
export async function benchScoring(
  model: Model,
  context: string,
  tokens: number,
  options: JobOptions = {},
): Promise<{ tokens: number; runs: ScoreRun[] }> {
  const contextIds = (await model.contextIds(context)).subarray(0, tokens)
  const prompts = await model.prompts
  const { prefixIds } = prompts
  const chunks = reconstructionInputs(contextIds, { chunkSize: defaultChunkSize, prompts })
  const runs: ScoreRun[] = []
  let full: Float32Array | undefined
  for (const sweep of ['full', 'chunk', 'block'] as const) {
    const { max, seconds, peakBytes } = await model.scorePairs({
      ...options,
      prefixIds,
      contextIds,
      chunks,
      sweep,
    })
    full ??= max
    const contextTokensPerSecond = contextIds.length / seconds
    runs.push({ sweep, seconds, contextTokensPerSecond, peakBytes, spearmanToFull: spearman(max, full) })
  }
  return { tokens: contextIds.length, runs }
}
