/** One sample of a data set becomes head scores. */

import { readSample, type Sample } from '../data/samples.js'
import type { JobOptions } from '../engine/job.js'
import { version } from '../engine/version.js'
import { InputError, invalidParameter } from '../errors.js'
import type { Model } from '../inference/model.js'
import { reachOf } from '../model/describe.js'
import type { HeadScores, Sweep } from '../scores/head-scores.js'
import { defaultChunkSize, reconstructionInputs } from './reconstruction.js'

export interface ScoreOptions extends JobOptions {
  /** Data set name or Parquet/JSONL file, with `index`; or a text of your own in `context`. */
  data?: string | undefined
  index?: number | undefined
  context?: string | undefined
  sweep?: Sweep | undefined
  chunkSize?: number | undefined
  /** Keep every pair's score too: layers x kv_heads x context. */
  pairs?: boolean | undefined
}

export interface ScoredHeads extends HeadScores {
  peakBytes: number
  seconds: number
}

/** @throws InputError when the context does not fit the model, with the figures and what to change */
export async function scoreHeads(model: Model, options: ScoreOptions): Promise<ScoredHeads> {
  const { sweep = 'full', chunkSize = defaultChunkSize } = options
  if (!['full', 'chunk', 'block'].includes(sweep))
    throw invalidParameter('sweep', 'full, chunk or block', sweep)
  const sample = await sampleOf(options)
  const contextIds = model.contextIds(sample.context)
  const chunks = reconstructionInputs(contextIds, { chunkSize, prompts: model.prompts })
  checkPositions(model, contextIds.length, chunks, sample)
  const { sinkIds } = model.prompts
  const scored = await model.scorePairs({ ...options, sinkIds, contextIds, chunks, sweep })
  const { id, hash, layers, kvHeads } = model.identity
  const { layers: modelLayers } = model.description.spec
  return {
    layers,
    kvHeads,
    layerIds: scored.layerIds,
    max: scored.max,
    mean: scored.mean,
    p99: scored.p99,
    positions: contextIds.length,
    pairs: scored.pairs,
    provenance: {
      model: id,
      modelHash: hash,
      sources: [{ data: sample.data, index: sample.index, tokens: contextIds.length }],
      method: 'kvzip',
      sweep,
      chunkSize,
      arithmetic: model.arithmetic,
      engineVersion: version,
      created: new Date().toISOString(),
      ...(scored.rope !== '' && { rope: scored.rope }),
      ...(layers < modelLayers && { modelLayers }),
    },
    peakBytes: scored.peakBytes,
    seconds: scored.seconds,
  }
}

async function sampleOf({
  data,
  index = 0,
  context,
}: ScoreOptions): Promise<Pick<Sample, 'context' | 'data' | 'index'>> {
  if (context !== undefined && data !== undefined)
    throw new InputError('give a data set or a context to score, not both')
  if (context !== undefined) return { context, data: 'context', index: 0 }
  if (data === undefined) throw new InputError('give a data set or a context to score')
  return readSample(data, index)
}

function checkPositions(
  model: Model,
  tokens: number,
  chunks: { ids: Int32Array }[],
  sample: { data: string; index: number },
): void {
  const maxPositions = reachOf(model.description)
  const prefill = model.prompts.sinkIds.length + tokens
  const needed = prefill + Math.max(...chunks.map((chunk) => chunk.ids.length))
  if (needed <= maxPositions) return
  const what = `${sample.data} ${sample.index} has ${tokens} tokens and needs ${needed} positions with its repetition`
  const advice = prefill < maxPositions * 0.9 ? '; a smaller chunk size needs fewer' : ''
  throw new InputError(`${what}, but ${model.description.id} has ${maxPositions}${advice}`)
}
