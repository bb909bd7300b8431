/** A context that has been read once, and what is left of its KV. */

import { check, checkFields, checkOneOf, checkOptions, jobFields, writeFields } from '../check.js'
import type { NativeCache, NativeCacheInfo, NativeWindow } from '../engine/binding.js'
import { invalidParameter } from '../errors.js'
import { checkScoreFields } from '../scores/check.js'
import type { HeadScores } from '../scores/head-scores.js'
import { CacheUses } from './cache-uses.js'
import {
  checkLevel,
  type Eviction,
  evictHeads,
  evictPairs,
  isPairLevel,
  type Level,
  type LevelOptions,
  missingHeadScores,
  missingPairScores,
  type PairScores,
} from './levels.js'
import { type SaveOptions, saveCache } from './save-cache.js'
import { checkScoresFit } from './scores-fit.js'

export interface ModelIdentity {
  id: string
  hash: string
  /** Scored layers: hybrid models evict their global layers only. */
  layers: number
  kvHeads: number
  headDim: number
  /** `cpu/fp32` */
  arithmetic: string
  /** Of one key or value in the cache. */
  elementBytes: number
}

/**
 * - `evict` (default): what is evicted is freed at once, and a cache is pruned once.
 * - `retain`: the full cache stays, and each prune gathers what it keeps beside it: one prefill serves every level and
 *   ratio, with answers bit for bit those of `evict`.
 */
export type CacheKind = 'evict' | 'retain'

export interface PruneOptions extends LevelOptions {
  /** Levels `head` and `streaming`; those given to prefill when left out. */
  scores?: HeadScores | undefined
}

export interface PruneResult {
  level: Level
  ratio: number
  /** KV heads that keep their whole context, of all the model's. */
  keptHeads: number
  heads: number
  /** Evictable units, heads or pairs, that are kept. */
  kept: number
  total: number
  /** Lowest score kept (`exact`), or the threshold that is exceeded (`published`). */
  threshold: number
  bytesBefore: number
  bytesAfter: number
}

/** @internal */
export interface CacheParts {
  native: NativeCache
  model: ModelIdentity
  kind: CacheKind
  contextHash: string
  scores: HeadScores | undefined
  pairScores: PairScores | undefined
  fullBytes: number
  peakBytes: number
  ropePositions: number
  /** What prefill evicted already. */
  pruned: PruneResult | undefined
}

export class KvCache {
  readonly model: ModelIdentity
  readonly kind: CacheKind
  /** sha256 of the ids of system prefix and context, which are not kept themselves. */
  readonly contextHash: string
  /** (scored layers, kv_heads, context) reconstruction scores, after a prefill at a pair level. */
  readonly pairScores: PairScores | undefined
  /** Bytes that the same prefill needs with nothing evicted. */
  readonly fullBytes: number
  /** Most bytes that the engine held while it read the context: KV, activations and work buffers, without weights. */
  readonly peakBytes: number
  /** Positions that rotary angles were chosen for, where those follow the length. */
  readonly ropePositions: number
  private readonly scores: HeadScores | undefined
  private active: NativeCache
  /** Kind `retain`: the cache as it was prefilled. */
  private readonly full: NativeCache | undefined
  private last: PruneResult | undefined

  /** @internal */
  readonly uses = new CacheUses()

  /** @internal */
  constructor(parts: CacheParts) {
    // Whoever makes one by hand from JavaScript.
    check(parts, 'parts (a cache is made by model.prefill or model.restore)', 'object')
    checkFields(parts, 'parts', { native: 'object', model: 'object' })
    this.active = parts.native
    this.full = parts.kind === 'retain' ? parts.native : undefined
    this.model = parts.model
    this.kind = parts.kind
    this.contextHash = parts.contextHash
    this.scores = parts.scores
    this.pairScores = parts.pairScores
    this.fullBytes = parts.fullBytes
    this.peakBytes = parts.peakBytes
    this.ropePositions = parts.ropePositions
    this.last = parts.pruned
  }

  /** @internal what answers come from */
  get native(): NativeCache {
    return this.active
  }

  get info(): NativeCacheInfo {
    return this.active.info()
  }

  /** Bytes of the keys and values that answers come from. */
  get bytes(): number {
    return this.info.usedBytes
  }

  /** Bytes of keys and values held in all: with kind `retain` the full cache is among them. */
  get heldBytes(): number {
    return this.bytes + (this.full && this.full !== this.active ? this.full.info().usedBytes : 0)
  }

  /** What the last prune left, or what prefill evicted; undefined for a full cache. */
  get pruned(): PruneResult | undefined {
    return this.last
  }

  /** What streaming heads see; undefined when none streams. */
  get window(): NativeWindow | undefined {
    const windows = this.active.windows()
    const at = windows.findIndex((tokens) => tokens > 0) & ~1
    return at < 0 ? undefined : { sink: windows[at]!, recent: windows[at + 1]! }
  }

  /** KV heads that keep their whole context. */
  get keptHeads(): number {
    return this.last?.keptHeads ?? this.model.layers * this.model.kvHeads
  }

  /** (vocab) logits after the last prefilled token. */
  get lastLogits(): Float32Array {
    return this.active.lastLogits()
  }

  /**
   * Evicts what scores lowest; system prefix, query and answer are always kept. With kind `retain` each prune starts
   * from the cache as it was prefilled, so a conversation that was kept with `updateCache` ends there.
   * @throws RangeError for a ratio outside (0, 1], InputError without the scores that the level needs or with those of
   * another model, Error (HEADZIP_ENGINE) for a second prune of kind `evict`
   */
  prune(options: PruneOptions): PruneResult {
    checkLevel(options)
    const eviction = this.plan(options)
    return this.apply(eviction, options)
  }

  /** @param keep (scored layers * kv_heads), 1 for heads whose context stays */
  pruneHeads(keep: Uint8Array): PruneResult {
    check(keep, 'keep', 'mask')
    const kept = keep.reduce((sum, bit) => sum + (bit ? 1 : 0), 0)
    const eviction: Eviction = {
      of: 'heads',
      keep,
      kept,
      total: keep.length,
      threshold: Number.NaN,
      window: null,
    }
    return this.apply(eviction, { level: 'head', ratio: kept / keep.length })
  }

  /** @param keep (layers * kv_heads * context), 1 for pairs that stay */
  prunePairs(keep: Uint8Array): PruneResult {
    check(keep, 'keep', 'mask')
    const kept = keep.reduce((sum, bit) => sum + (bit ? 1 : 0), 0)
    const eviction: Eviction = { of: 'pairs', keep, kept, total: keep.length, threshold: Number.NaN }
    return this.apply(eviction, { level: 'pair', ratio: kept / keep.length })
  }

  /** A cache of kind `evict` with memory of its own that answers as this one does now. */
  clone(): KvCache {
    this.uses.readable()
    const { model, contextHash, scores, pairScores, fullBytes, peakBytes, ropePositions, last } = this
    const native = this.active.clone()
    return new KvCache({
      native,
      model,
      kind: 'evict',
      contextHash,
      scores,
      pairScores,
      fullBytes,
      peakBytes,
      ropePositions,
      pruned: last,
    })
  }

  /**
   * Writes what answers come from to a file that `model.restore` reads: raw keys and values behind a header, with a
   * checksum. Scores and, with kind `retain`, the full cache are not in it.
   * @throws InputError when the file exists (unless `force`) or cannot be written; nothing half-written stays
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    check(path, 'path', 'path')
    checkOptions(options, { ...jobFields, ...writeFields })
    this.uses.readable()
    const { model, contextHash, fullBytes, ropePositions, last } = this
    return saveCache(
      path,
      this.active,
      { model, contextHash, fullBytes, ropePositions, pruned: last },
      options,
    )
  }

  /** Gives the memory back at once instead of when it is collected. */
  close(): void {
    this.uses.idle()
    this.active.close()
    this.full?.close()
  }

  private plan(options: PruneOptions): Eviction {
    const { level } = options
    if (isPairLevel(level)) {
      if (!this.pairScores) throw missingPairScores(level)
      return evictPairs(this.pairScores, options)
    }
    const scores = options.scores ?? this.scores
    if (options.scores !== undefined) checkScoreFields(options.scores)
    if (!scores) throw missingHeadScores(level)
    checkScoresFit(scores, this.model)
    return evictHeads(scores, options)
  }

  private apply(eviction: Eviction, { level, ratio }: Pick<LevelOptions, 'level' | 'ratio'>): PruneResult {
    this.uses.idle()
    const bytesBefore = this.full ? this.full.info().usedBytes : this.bytes
    if (this.full) this.gather(this.full, eviction)
    else if (eviction.of === 'heads') this.active.retainHeads(eviction.keep, eviction.window)
    else this.active.retainPairs(eviction.keep)
    this.last = pruneResult(eviction, { level, ratio }, this.model, bytesBefore, this.bytes)
    return this.last
  }

  private gather(full: NativeCache, eviction: Eviction): void {
    // The gathered cache of the last prune goes first: two of them and the full one need not fit together.
    if (this.active !== full) this.active.close()
    this.active = full
    this.last = undefined
    this.active =
      eviction.of === 'heads'
        ? full.selectHeads(eviction.keep, eviction.window)
        : full.selectPairs(eviction.keep)
  }
}

/** @internal */
export function pruneResult(
  eviction: Eviction,
  { level, ratio }: Pick<LevelOptions, 'level' | 'ratio'>,
  { layers, kvHeads }: { layers: number; kvHeads: number },
  bytesBefore: number,
  bytesAfter: number,
): PruneResult {
  const heads = layers * kvHeads
  const width = eviction.keep.length / heads
  let keptHeads = 0
  for (let head = 0; head < heads; head++)
    if (eviction.keep.subarray(head * width, (head + 1) * width).every((bit) => bit !== 0)) keptHeads++
  const { kept, total, threshold } = eviction
  return { level, ratio, keptHeads, heads, kept, total, threshold, bytesBefore, bytesAfter }
}

/** @throws TypeError for anything but a cache */
export function checkCache(value: unknown, name = 'kv'): void {
  if (!(value instanceof KvCache))
    throw invalidParameter(name, 'a cache that model.prefill or model.restore gave', value, 'type')
}

/** @throws TypeError or RangeError unless it is a kind of cache */
export function checkKind(kind: CacheKind | undefined): CacheKind {
  if (kind !== undefined) checkOneOf(kind, 'kind', ['evict', 'retain'])
  return kind ?? 'evict'
}
