/** Reading a context: which job the engine is given for a level, and the cache that comes of it. */

import type { NativeEngine, NativeSweepJob } from '../engine/binding.js'
import { type JobOptions, watch } from '../engine/job.js'
import { InputError, invalidParameter } from '../errors.js'
import type { ModelDescription } from '../model/describe.js'
import type { HeadScores, Sweep } from '../scores/head-scores.js'
import type { ReconstructionInput } from '../scoring/reconstruction.js'
import { type CacheKind, checkKind, KvCache, type ModelIdentity, pruneResult } from './kv-cache.js'
import {
  checkLevel,
  type Eviction,
  evictHeads,
  evictPairs,
  isPairLevel,
  type LevelOptions,
  missingHeadScores,
  type PairScores,
  uniformRule,
  windowOf,
} from './levels.js'
import { checkScoresFit } from './scores-fit.js'

export interface PrefillOptions extends JobOptions, Partial<LevelOptions> {
  /**
   * Head scores, or a file of them, for the levels `head` (the default) and `streaming`. Alone they wait for
   * `kv.prune`; with a ratio they evict during prefill: the peak is what is kept and one layer.
   */
  scores?: HeadScores | string | undefined
  /** `retain` keeps the full cache, so that one prefill serves all levels and ratios. */
  kind?: CacheKind | undefined
  /** Pair levels: how the context is scored. `full` is the published definition. */
  sweep?: Sweep | undefined
  /** Pair levels: tokens repeated at a time; 2000 as published. */
  chunkSize?: number | undefined
  /** Most rows of a pass: bounds the work buffers. The engine's own choice when left out. */
  prefillChunk?: number | undefined
}

/** @internal */
export interface PrefillInputs {
  engine: NativeEngine
  description: ModelDescription
  identity: ModelIdentity
  sinkIds: Int32Array
  contextIds: Int32Array
  scores: HeadScores | undefined
  /** The context's repetition; asked for at pair levels only. */
  chunks(): ReconstructionInput[]
}

export async function prefillCache(inputs: PrefillInputs, options: PrefillOptions): Promise<KvCache> {
  const { engine, identity, sinkIds, contextIds, scores } = inputs
  const { level = 'head', ratio, sweep = 'full', prefillChunk } = options
  const kind = checkKind(options.kind)
  const pairs = isPairLevel(level)
  if (scores) checkScoresFit(scores, identity)
  // Without a ratio nothing is evicted yet, but what was said about it must make sense.
  const plan = checkLevel({ ...options, level, ratio: ratio ?? 1 })
  if (!['full', 'chunk', 'block'].includes(sweep))
    throw invalidParameter('sweep', 'full, chunk or block', sweep)
  if (prefillChunk !== undefined && (!Number.isSafeInteger(prefillChunk) || prefillChunk < 1))
    throw invalidParameter('prefillChunk', 'a positive number of tokens', prefillChunk)
  if (ratio !== undefined && !pairs && !scores)
    throw options.level === undefined
      ? new InputError('evicting while prefilling needs head scores: pass `scores`, or a pair level')
      : missingHeadScores(level)

  const early = ratio !== undefined && kind === 'evict'
  const evictedHeads = early && !pairs && scores ? evictHeads(scores, plan, identity) : undefined
  const uniform = early && level === 'pair-uniform' ? uniformRule(plan, contextIds.length) : null
  const job: NativeSweepJob = {
    sink: sinkIds,
    context: contextIds,
    chunks: pairs ? inputs.chunks() : [],
    sweep,
    before: 0,
    after: 0,
    pairs,
    cache: true,
    keepHeads: evictedHeads?.keep ?? null,
    window: evictedHeads ? windowOf(plan) : null,
    uniform: uniform && { ...uniform, keepLayers: new Uint8Array(0) },
    tileRows: prefillChunk ?? 0,
  }
  const result = await watch(() => engine.sweep(job), options)
  if (!result.cache) throw new Error('the engine returned no cache')
  const pairScores = result.pairs && pairScoresOf(result.pairs, inputs)
  const native = result.cache
  const fullBytes =
    identity.layers *
    identity.kvHeads *
    identity.headDim *
    2 *
    identity.elementBytes *
    (sinkIds.length + contextIds.length)
  // What the engine evicted on its own account, layer by layer.
  const done: Eviction | undefined =
    evictedHeads ?? (uniform && pairScores ? evictPairs(pairScores, plan, identity) : undefined)
  const pruned = done && pruneResult(done, plan, identity, fullBytes, native.info().usedBytes)
  const kv = new KvCache({
    native,
    model: identity,
    kind,
    scores,
    pairScores: pairScores ?? undefined,
    fullBytes,
    peakBytes: result.peakBytes,
    pruned,
  })
  if (ratio !== undefined && !pruned) kv.prune(plan)
  return kv
}

function pairScoresOf(values: Float32Array, { description, contextIds }: PrefillInputs): PairScores {
  const { layers, kvHeads } = description.spec
  const layerIds = Int32Array.from({ length: layers }, (_, layer) => layer)
  return { layers, kvHeads, positions: contextIds.length, layerIds, values }
}
