/** Compressed caches of the contexts seen last, under a budget of bytes. */

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { KvCache } from '../inference/kv-cache.js'
import { isPairLevel } from '../inference/levels.js'
import type { Model } from '../inference/model.js'
import type { PrefillOptions } from '../inference/prefill.js'
import { reconstructionInputs } from '../scoring/reconstruction.js'

/** A text that has been turned into ids, or whose cache is there already. */
export interface ContextText {
  key: string
  /** System prefix included. */
  tokens: number
  /** That the model needs to read it, with its repetition where it is scored by that. */
  positions: number
  /** (tokens of the context); undefined when its cache is there */
  ids: Int32Array | undefined
}

export interface ReadContext {
  kv: KvCache
  /** System prefix included. */
  tokens: number
  /** Of keys and values: held, and needed with nothing evicted. */
  bytes: number
  fullBytes: number
}

export interface FoundContext extends ReadContext {
  /** It had been read before. */
  reused: boolean
}

/** How contexts are read: what is evicted of them. */
export type Eviction = Pick<
  PrefillOptions,
  'level' | 'scores' | 'ratio' | 'rule' | 'sink' | 'recent' | 'sweep'
>

export class Contexts {
  private readonly caches: LRUCache<string, ReadContext>
  /** Several clients may ask about a new context before it has been read: it is tokenised once. */
  private readonly looks = new LRUCache<string, ContextText>({ max: 8 })

  constructor(
    private readonly model: Model,
    private readonly eviction: Eviction,
    readonly budgetBytes: number,
  ) {
    this.caches = new LRUCache({
      maxSize: budgetBytes,
      sizeCalculation: ({ kv }) => Math.max(1, kv.info.allocatedBytes),
      dispose: ({ kv }, _, reason) => {
        // 'set': one past the budget, which `keep` closes.
        if (reason !== 'set') kv.close()
      },
    })
  }

  get count(): number {
    return this.caches.size
  }

  get bytes(): number {
    return this.caches.calculatedSize
  }

  /** Tokens of a context, counted without the engine. */
  look(text: string): ContextText {
    const key = createHash('sha256').update(text).digest('hex')
    const known = this.caches.peek(key)
    if (known) return { key, tokens: known.tokens, positions: known.tokens, ids: undefined }
    const seen = this.looks.get(key)
    if (seen) return seen
    const ids = Int32Array.from(this.model.tokenizer.encode(text))
    const tokens = this.model.prompts.sinkIds.length + ids.length
    const looked = { key, tokens, positions: tokens + this.longestRepetition(ids), ids }
    this.looks.set(key, looked)
    return looked
  }

  /** Lends the context's cache for the time of one use; uses must not overlap. */
  async use<T>(
    text: string,
    looked: ContextText,
    signal: AbortSignal,
    use: (context: FoundContext) => Promise<T>,
  ): Promise<T> {
    const found = this.caches.get(looked.key)
    // Since it was looked at, the cache may have come or gone.
    const context = found ?? (await this.read(looked.ids ?? this.look(text).ids!, signal))
    try {
      return await use({ ...context, reused: found !== undefined })
    } finally {
      this.keep(looked.key, context)
    }
  }

  close(): void {
    this.caches.clear()
  }

  private longestRepetition(ids: Int32Array): number {
    if (!isPairLevel(this.eviction.level ?? 'head') || ids.length === 0) return 0
    const { prompts } = this.model
    return Math.max(...reconstructionInputs(ids, { prompts }).map((input) => input.ids.length))
  }

  private async read(ids: Int32Array, signal: AbortSignal): Promise<ReadContext> {
    const { sinkIds } = this.model.prompts
    // The engine wants a context: without one the end of the system prefix stands in, and nothing is evicted.
    const kv =
      ids.length === 0
        ? await this.model.prefillIds(sinkIds.subarray(0, -1), sinkIds.subarray(-1), { signal })
        : await this.model.prefillIds(sinkIds, ids, { ...this.eviction, signal })
    return { kv, tokens: sinkIds.length + ids.length, bytes: kv.bytes, fullBytes: kv.fullBytes }
  }

  /** One that alone is past the budget is not kept. */
  private keep(key: string, context: ReadContext): void {
    this.caches.set(key, context)
    if (!this.caches.has(key)) context.kv.close()
  }
}
