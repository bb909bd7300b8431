/** Reading a context: what the engine is asked to do for a level, and the cache that comes of it. */

import { check, checkNames, checkOptions, type Fields, jobFields } from '../check.js'
import type { NativeEngine, NativeEviction } from '../engine/binding.js'
import { type JobOptions, watch } from '../engine/job.js'
import { InputError, invalidParameter } from '../errors.js'
import { checkGiven } from '../formats/detect.js'
import { type EngineDescription, ropesFor } from '../model/describe.js'
import { checkChunks, type ReconstructionInput } from '../model/reconstruction.js'
import { remedies } from '../model/too-long.js'
import type { HeadScores, Sweep } from '../scores/head-scores.js'
import { contextHash } from './context-hash.js'
import { type CacheKind, checkKind, KvCache, type ModelIdentity, pruneResult } from './kv-cache.js'
import {
  checkLevel,
  type Eviction,
  evictHeads,
  evictPairs,
  isPairLevel,
  type Level,
  type LevelOptions,
  missingHeadScores,
  type PairScores,
  uniformRule,
  windowOf,
} from './levels.js'
import { checkScoresFit } from './scores-fit.js'

export interface PrefillOptions extends JobOptions, Omit<LevelOptions, 'level' | 'ratio'> {
  /** Default `head`. Pair levels are scored on the way. */
  level?: Level | undefined
  /** Evict while reading; left out, the cache waits for `kv.prune`. */
  ratio?: number | undefined
  /**
   * Head scores for the levels `head` (the default) and `streaming`, or where they lie, as a path or file: URL, in any
   * format that `readAnyScores` reads. Alone they wait for `kv.prune`; with a ratio they evict during prefill: the peak
   * is what is kept and one layer.
   */
  scores?: HeadScores | string | URL | undefined
  /** `retain` keeps the full cache, so that one prefill serves all levels and ratios. */
  kind?: CacheKind | undefined
  /** Pair levels: how the context is scored. `full` is the published definition. */
  sweep?: Sweep | undefined
  /** Pair levels: tokens repeated at a time; 2000 as published. */
  chunkSize?: number | undefined
  /** Of a text: contexts with more tokens lose their middle. */
  maxContext?: number | undefined
  /** Most rows of a pass: bounds the work buffers. The engine's own choice when left out. */
  prefillChunk?: number | undefined
}

/** @internal */
export interface PrefillInputs {
  engine: NativeEngine
  description: EngineDescription
  identity: ModelIdentity
  prefixIds: Int32Array
  contextIds: Int32Array
  scores: HeadScores | undefined
  /** The context's repetition; asked for at pair levels only. */
  chunks(): Promise<ReconstructionInput[]>
}

const fields = {
  ...jobFields,
  level: 'string?',
  ratio: 'number?',
  rule: 'string?',
  sink: 'number?',
  recent: 'number?',
  kind: 'string?',
  sweep: 'string?',
  chunkSize: 'number?',
  maxContext: 'positive?',
  prefillChunk: 'number?',
} as const satisfies Fields

/** Before anything is tokenised or read: a misspelt ratio would evict nothing, silently. */
export function checkPrefill(options: PrefillOptions & { chunks?: unknown }): void {
  check(options, 'options', 'object')
  checkNames(options, 'prefill', [...Object.keys(fields), 'scores', 'chunks'])
  if (options.chunks !== undefined) checkChunks(options.chunks, 'chunks')
  if (options.scores !== undefined) checkGiven(options.scores)
  checkOptions(options, fields)
}

export async function prefillCache(inputs: PrefillInputs, options: PrefillOptions): Promise<KvCache> {
  const { engine, description, identity, prefixIds, contextIds, scores } = inputs
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
  const evictedHeads = early && !pairs && scores ? evictHeads(scores, plan) : undefined
  const uniform = early && level === 'pair-uniform' ? uniformRule(plan, contextIds.length) : undefined
  const chunks = pairs ? await inputs.chunks() : []
  const tokens = prefixIds.length + contextIds.length
  const ropePositions = tokens + Math.max(0, ...chunks.map(({ ids }) => ids.length))
  checkPositions(inputs, chunks, ropePositions)
  const { ropes, maxPositions } = ropesFor(description, ropePositions)
  const window = windowOf(plan)
  let eviction: NativeEviction = { kind: 'none' }
  if (pairs) eviction = { kind: 'scored', chunks, sweep, method: 'kvzip', ...(uniform && { uniform }) }
  else if (evictedHeads) eviction = { kind: 'heads', keep: evictedHeads.keep, ...(window && { window }) }
  const result = await watch(
    () =>
      engine.prefill({
        prefix: prefixIds,
        context: contextIds,
        ropes,
        maxPositions,
        eviction,
        ...(prefillChunk !== undefined && { tileRows: prefillChunk }),
      }),
    options,
  )
  const pairScores = result.pairs && pairScoresOf(result.pairs, inputs)
  const native = result.cache
  const fullBytes = engine.kvBytes(tokens)
  // What the engine evicted on its own account, layer by layer.
  const done: Eviction | undefined =
    evictedHeads ?? (uniform && pairScores ? evictPairs(pairScores, plan) : undefined)
  const pruned = done && pruneResult(done, plan, identity, fullBytes, native.info().usedBytes)
  const kv = new KvCache({
    native,
    model: identity,
    kind,
    contextHash: contextHash(prefixIds, contextIds),
    scores,
    pairScores: pairScores ?? undefined,
    fullBytes,
    peakBytes: result.peakBytes,
    ropePositions,
    pruned,
  })
  if (ratio !== undefined && !pruned) kv.prune(plan)
  return kv
}

/** Positions left free for a question and its answer, where the context could have all of them. */
const spare = 512

function checkPositions(inputs: PrefillInputs, chunks: readonly ReconstructionInput[], needed: number): void {
  const { description, prefixIds, contextIds } = inputs
  const { reach } = description
  if (needed <= reach) return
  const sizes = { prefix: prefixIds.length, context: contextIds.length, chunks }
  const helps = remedies(description, {
    positions: reach,
    ...sizes,
    spare: Math.min(spare, Math.floor(reach / 8)),
    cut: 'cuts its middle out',
  })
  const repeated = chunks.length > 0 ? ' with its repetition' : ''
  throw new InputError(
    `the context has ${sizes.context} tokens and needs ${needed} positions${repeated}, but ${description.id} has ${reach}${helps}`,
  )
}

function pairScoresOf(values: Float32Array, { identity, contextIds }: PrefillInputs): PairScores {
  return { layers: identity.layers, kvHeads: identity.kvHeads, positions: contextIds.length, values }
}
