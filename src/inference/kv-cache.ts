/** A context that has been read once, and what is left of its KV. */

import type { NativeCache, NativeCacheInfo } from '../engine/binding.js'
import { checkRatio, InputError } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { type SelectionRule, selectHeads } from '../scores/select.js'
import { checkScoresFit } from './scores-fit.js'

export interface ModelIdentity {
  id: string
  hash: string
  layers: number
  kvHeads: number
}

export interface PruneOptions {
  level: 'head'
  /** Share of KV heads whose context is kept, in (0, 1]. */
  ratio: number
  /** Those given to prefill when left out. */
  scores?: HeadScores | undefined
  /** How ties are settled; `exact` keeps round(n * ratio) heads. */
  rule?: SelectionRule | undefined
}

export interface PruneResult {
  keptHeads: number
  heads: number
  bytesBefore: number
  bytesAfter: number
}

export class KvCache {
  /** @internal */
  constructor(
    /** @internal */
    readonly native: NativeCache,
    readonly model: ModelIdentity,
    private readonly scores: HeadScores | undefined,
    /** Bytes that the same prefill needs with nothing evicted. */
    readonly fullBytes: number,
    /** Heads whose context was kept so far, of layers * kv_heads. */
    private kept: number,
  ) {}

  get info(): NativeCacheInfo {
    return this.native.info()
  }

  /** Bytes of keys and values held now. */
  get bytes(): number {
    return this.info.usedBytes
  }

  get keptHeads(): number {
    return this.kept
  }

  /** (vocab) logits after the last prefilled token. */
  get lastLogits(): Float32Array {
    return this.native.lastLogits()
  }

  /**
   * Drops the context KV of the heads that score lowest; system prefix, query and answer are always kept.
   * @throws RangeError for a ratio outside (0, 1], InputError without scores or with those of another model
   */
  prune(options: PruneOptions): PruneResult {
    const ratio = checkRatio(options.ratio)
    const scores = options.scores ?? this.scores
    if (!scores) {
      throw new InputError('pruning by head needs head scores: pass `scores` to prefill or to prune')
    }
    checkScoresFit(scores, this.model)
    const { keep } = selectHeads(scores, { ratio, ...(options.rule && { rule: options.rule }) })
    return this.pruneHeads(keep)
  }

  /** @param keep (layers * kv_heads), 1 for heads whose context stays */
  pruneHeads(keep: Uint8Array): PruneResult {
    const bytesBefore = this.bytes
    this.native.retainHeads(keep)
    this.kept = keep.reduce((sum, bit) => sum + (bit ? 1 : 0), 0)
    return { keptHeads: this.kept, heads: keep.length, bytesBefore, bytesAfter: this.bytes }
  }

  /** @param keep (layers * kv_heads * context), 1 for pairs that stay */
  prunePairs(keep: Uint8Array): void {
    this.native.retainPairs(keep)
  }

  /** A copy with memory of its own, to prune in another way. */
  clone(): KvCache {
    return new KvCache(this.native.clone(), this.model, this.scores, this.fullBytes, this.kept)
  }

  /** Gives the memory back at once instead of when it is collected. */
  close(): void {
    this.native.close()
  }
}
