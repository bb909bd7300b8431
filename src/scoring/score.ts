/** One sample of a data set becomes head scores. */

import { check, checkFields, checkOptions, jobFields } from '../check.js'
import type { NeedleOptions } from '../data/needle.js'
import type { Sample } from '../data/sample.js'
import { type FetchDatasetFile, readSample } from '../data/samples.js'
import type { JobOptions } from '../engine/job.js'
import { version } from '../engine/version.js'
import { InputError, invalidParameter } from '../errors.js'
import { checkModel, type Model, type ScoredPairs, type ScorePairsParams } from '../inference/model.js'
import { defaultChunkSize, type ReconstructionInput, reconstructionInputs } from '../model/reconstruction.js'
import { remedies } from '../model/too-long.js'
import {
  type HeadScores,
  type PairMethod,
  type ScoreMethod,
  type Sweep,
  scoreMethods,
} from '../scores/head-scores.js'
import { estimateHeads } from './estimate.js'
import { type StoppedScores, scoreUntilStable, type UntilStable } from './until-stable.js'

export interface ScoreOptions extends JobOptions {
  /** Data set name or Parquet/JSONL file, with `index`; or a text of your own in `context`. */
  data?: string | undefined
  index?: number | undefined
  context?: string | undefined
  sweep?: Sweep | undefined
  /** Default `kvzip`, as published; `kvzip+` on the CPU only; the estimate knows neither sweeps nor chunks nor pairs. */
  method?: ScoreMethod | undefined
  chunkSize?: number | undefined
  /** Sweep `block`: score only this shard of the context's chunks. Merged, the shards' maxima are those of one run. */
  chunks?: { index: number; count: number } | undefined
  /** Of the data set needle. */
  needle?: NeedleOptions | undefined
  fetch?: FetchDatasetFile | undefined
  /** Of a Parquet file's data, as `readSamples` takes it. */
  maxDataBytes?: number | undefined
  /** Keep every pair's score too: layers x kv_heads x context. */
  pairs?: boolean | undefined
  /** Stop when more chunks no longer change the kept set; not together with `pairs`. */
  untilStable?: UntilStable | undefined
  /** Score the first so many tokens of the context only. */
  maxContext?: number | undefined
}

export interface ScoredHeads extends HeadScores {
  peakBytes: number
  seconds: number
  /** Of a run that might stop early: chunks scored of all, and the share of repetition that was not run. */
  stopped?: Pick<StoppedScores, 'scored' | 'chunks' | 'saved'>
}

/** @throws InputError when the context does not fit the model, with the figures and what to change */
export async function scoreHeads(model: Model, options: ScoreOptions): Promise<ScoredHeads> {
  check(model, 'model', 'object')
  checkScoring(options)
  const { sweep = 'full', method = 'kvzip', chunkSize = defaultChunkSize } = options
  if (!['full', 'chunk', 'block'].includes(sweep))
    throw invalidParameter('sweep', 'full, chunk or block', sweep)
  if (!scoreMethods.includes(method))
    throw invalidParameter('method', 'kvzip, kvzip+ or duo-estimate', method)
  if (method === 'kvzip+' && model.device !== 'cpu')
    throw new InputError('kvzip+ scores are computed on the CPU only: score with device cpu')
  if (options.chunks && sweep !== 'block')
    throw new InputError('only the sweep block scores chunks apart: with the others they see one another')
  checkModel(model)
  const sample = await sampleOf(model, options)
  const scores =
    method === 'duo-estimate'
      ? await estimate(model, sample, options)
      : await reconstruct(model, sample, { ...options, sweep, method, chunkSize })
  // What carries the model's name must have come from it.
  model.checkWeights()
  return scores
}

async function estimate(
  model: Model,
  sample: Pick<Sample, 'context' | 'data' | 'index'>,
  options: ScoreOptions,
): Promise<ScoredHeads> {
  const textIds = await model.textIds(sample.context, options.signal)
  return estimateHeads(model, sample, cutContext(textIds, options.maxContext), options)
}

async function reconstruct(
  model: Model,
  sample: Pick<Sample, 'context' | 'data' | 'index'>,
  options: ScoreOptions & { sweep: Sweep; method: PairMethod; chunkSize: number },
): Promise<ScoredHeads> {
  const { sweep, method, chunkSize, maxContext, signal } = options
  const prompts = await model.prompts
  const contextIds = cutContext(await model.contextIds(sample.context, signal), maxContext)
  const inputs = reconstructionInputs(contextIds, { chunkSize, prompts })
  checkPositions(model, { prefix: prompts.prefixIds.length, context: contextIds.length }, inputs, sample)
  const { chunks, start, end } = partOf(inputs, options.chunks, sample)
  const params = {
    ...options,
    prefixIds: prompts.prefixIds,
    contextIds: contextIds.slice(start, end),
    chunks,
    sweep,
    method,
    before: start,
    after: contextIds.length - end,
  }
  const scored = await run(model, params, options)
  const whole = end - start === contextIds.length
  const { id, hash, layers, kvHeads } = model.identity
  const modelLayers = model.description.spec.layers.length
  return {
    layers,
    kvHeads,
    layerIds: scored.layerIds,
    max: scored.max,
    mean: scored.mean,
    p99: scored.p99,
    positions: 'saved' in scored ? scored.positions : end - start,
    pairs: scored.pairs,
    provenance: {
      model: id,
      modelHash: hash,
      sources: [
        {
          data: sample.data,
          index: sample.index,
          tokens: end - start,
          ...(!whole && { part: { start, end, of: contextIds.length } }),
        },
      ],
      method,
      sweep,
      chunkSize,
      arithmetic: model.arithmetic,
      engineVersion: version,
      created: new Date().toISOString(),
      ...(scored.rope !== '' && { rope: scored.rope }),
      modelLayers,
    },
    peakBytes: scored.peakBytes,
    seconds: scored.seconds,
    ...('saved' in scored && {
      stopped: { scored: scored.scored, chunks: scored.chunks, saved: scored.saved },
    }),
  }
}

/** Kinds only: most have words of their own for what they may be. */
function checkScoring(options: ScoreOptions): void {
  checkOptions(options, {
    ...jobFields,
    data: 'path?',
    index: 'count?',
    context: 'string?',
    sweep: 'string?',
    method: 'string?',
    chunkSize: 'number?',
    chunks: 'object?',
    needle: 'object?',
    fetch: 'function?',
    pairs: 'flag?',
    untilStable: 'object?',
    maxContext: 'number?',
    maxDataBytes: 'bytes?',
  })
  if (options.chunks) checkFields(options.chunks, 'chunks', { index: 'count', count: 'positive' })
}

async function run(
  model: Model,
  params: ScorePairsParams,
  { untilStable, pairs }: ScoreOptions,
): Promise<ScoredPairs | StoppedScores> {
  if (!untilStable) return await model.scorePairs(params)
  if (pairs)
    throw new InputError('pairs of chunks that were not scored have no score: give pairs without untilStable')
  return await scoreUntilStable(model, params, untilStable)
}

function cutContext(ids: Int32Array, most: number | undefined): Int32Array {
  if (most === undefined) return ids
  if (!Number.isInteger(most) || most < 1) throw invalidParameter('maxContext', 'a positive integer', most)
  return ids.subarray(0, most).slice()
}

/** More shards than chunks that can be told apart: there is nothing to do, and nothing wrong. */
export class NoChunksLeft extends InputError {}

/** Keys lie in panels of so many: chunks that start on a panel are summed in the same order wherever they are scored. */
const panel = 16

/** A shard's chunks, [from, to): as even as bit-for-bit equality with a single run allows; often none of a few. */
export function chunkRange(
  starts: readonly number[],
  { index, count }: { index: number; count: number },
): [from: number, to: number] {
  const edges = [...starts.keys(), starts.length].filter(
    (i) => i === starts.length || starts[i]! % panel === 0,
  )
  const edge = (part: number): number => {
    const even = (part * starts.length) / count
    return edges.reduce((best, each) => (Math.abs(each - even) < Math.abs(best - even) ? each : best))
  }
  return [edge(index), edge(index + 1)]
}

/** The chunks of one shard, counted from their own start. @throws InputError for a shard that gets none */
function partOf(
  inputs: readonly ReconstructionInput[],
  shard: ScoreOptions['chunks'],
  sample: { data: string; index: number },
): { chunks: ReconstructionInput[]; start: number; end: number } {
  const { index, count } = shard ?? { index: 0, count: 1 }
  const own = inputs.slice(
    ...chunkRange(
      inputs.map((input) => input.start),
      { index, count },
    ),
  )
  const [first, last] = [own[0], own.at(-1)]
  if (!first || !last)
    throw new NoChunksLeft(
      `${sample.data} ${sample.index} has ${inputs.length} chunks: none is left for shard ${index} of ${count}`,
    )
  const { start } = first
  const chunks = own.map((input) => ({ ...input, start: input.start - start, end: input.end - start }))
  return { chunks, start, end: last.end }
}

async function sampleOf(
  model: Model,
  { data, index = 0, context, needle, fetch, signal, maxDataBytes }: ScoreOptions,
): Promise<Pick<Sample, 'context' | 'data' | 'index'>> {
  if (context !== undefined && data !== undefined)
    throw new InputError('give a data set or a context to score, not both')
  if (context !== undefined) return { context, data: 'context', index: 0 }
  if (data === undefined) throw new InputError('give a data set or a context to score')
  return readSample(data, index, { tokenizer: model.tokenizer, needle, fetch, signal, maxDataBytes })
}

function checkPositions(
  model: Model,
  tokens: { prefix: number; context: number },
  chunks: readonly ReconstructionInput[],
  sample: { data: string; index: number },
): void {
  const { description } = model
  const { id, reach } = description
  const { prefix, context } = tokens
  const needed = prefix + context + Math.max(...chunks.map((chunk) => chunk.ids.length))
  if (needed <= reach) return
  const what = `${sample.data} ${sample.index} has ${context} tokens and needs ${needed} positions with its repetition`
  const cut = 'scores the first tokens only'
  const helps = remedies(description, { positions: reach, prefix, context, chunks, spare: 0, cut })
  throw new InputError(`${what}, but ${id} has ${reach}${helps}`)
}
