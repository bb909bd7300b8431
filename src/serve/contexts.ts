/** Compressed caches of the contexts seen last, under a budget of bytes; what leaves memory may go to disk. */

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Progress } from '../engine/job.js'
import { InputError } from '../errors.js'
import { contextHash } from '../inference/context-hash.js'
import type { KvCache } from '../inference/kv-cache.js'
import { isPairLevel } from '../inference/levels.js'
import type { Model } from '../inference/model.js'
import type { PrefillOptions } from '../inference/prefill.js'
import type { Prompts } from '../model/prompts.js'
import { reconstructionInputs } from '../model/reconstruction.js'
import { CacheFiles, type CacheFilesOptions } from './cache-files.js'
import { SharedWork } from './shared-work.js'

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

export interface ContextsOptions extends CacheFilesOptions {
  /** Bytes of KV kept in memory. */
  cacheBytes: number
  /** Files that hold contexts from the start. */
  caches: readonly string[]
  whileReading: WhileReading
}

/** Runs `read`, which tells how far it is with a context of so many tokens. */
export type WhileReading = <T>(
  tokens: number,
  read: (onProgress: (progress: Progress) => void) => Promise<T>,
) => Promise<T>

export class Contexts {
  /** By the hash of the context's ids, so that a saved cache can tell which context it is of. */
  private readonly caches: LRUCache<string, ReadContext>
  /** Hash of a text -> that of its ids: a context that is known is not tokenised again. */
  private readonly keys = new LRUCache<string, string>({ max: 4096 })
  /** Several clients may ask about a new context before it has been read: it is tokenised once. */
  private readonly looks = new LRUCache<string, SharedWork<ContextText>>({ max: 8 })
  private readonly leaving: ReadContext[] = []
  /** Settled once those that left memory are on disk, or closed. */
  private left: Promise<void> = Promise.resolve()

  private constructor(
    private readonly model: Model,
    private readonly files: CacheFiles,
    private readonly eviction: Eviction,
    private readonly whileReading: WhileReading,
    readonly budgetBytes: number,
    private readonly prompts: Prompts,
  ) {
    this.caches = new LRUCache({
      maxSize: budgetBytes,
      sizeCalculation: sizeOf,
      dispose: (context, _, reason) => {
        // 'set': one past the budget, which `keep` sees to.
        if (reason !== 'set') this.leaving.push(context)
      },
    })
  }

  /** @throws InputError for a file that is no cache of this model, a folder that cannot be written, or more than fits */
  static async open(model: Model, options: ContextsOptions): Promise<Contexts> {
    const files = await CacheFiles.open(model, options)
    const contexts = new Contexts(
      model,
      files,
      options.eviction ?? {},
      options.whileReading,
      options.cacheBytes,
      await model.prompts,
    )
    try {
      for (const path of options.caches) contexts.give(path, await files.give(path))
    } catch (error) {
      for (const { kv } of contexts.caches.values()) kv.close()
      throw error
    }
    return contexts
  }

  get count(): number {
    return this.caches.size
  }

  get bytes(): number {
    return this.caches.calculatedSize
  }

  /** Tokens of a context, counted without the engine. @throws the signal's reason */
  async look(text: string, signal: AbortSignal): Promise<ContextText> {
    const textHash = createHash('sha256').update(text).digest('hex')
    const known = this.keys.get(textHash)
    const there = known === undefined ? undefined : this.caches.peek(known)
    if (known !== undefined && there)
      return { key: known, tokens: there.tokens, positions: there.kv.ropePositions, ids: undefined }
    const seen = this.looks.get(textHash)
    if (seen && !seen.failed) return seen.wait(signal)
    const look = new SharedWork((all) => this.tokenise(text, textHash, all))
    this.looks.set(textHash, look)
    return look.wait(signal)
  }

  private async tokenise(text: string, textHash: string, signal: AbortSignal): Promise<ContextText> {
    const ids = await this.model.tokenizer.encode(text, { signal })
    const { prefixIds } = this.prompts
    const key = contextHash(prefixIds, ids)
    const tokens = prefixIds.length + ids.length
    const scored = !this.caches.has(key) && !this.files.has(key)
    this.keys.set(textHash, key)
    return { key, tokens, positions: tokens + (scored ? this.longestRepetition(ids) : 0), ids }
  }

  /** Lends the context's cache for the time of one use; uses must not overlap. */
  async use<T>(
    text: string,
    looked: ContextText,
    signal: AbortSignal,
    use: (context: FoundContext) => Promise<T>,
  ): Promise<T> {
    // One that is still being written may be the one that is asked for.
    await this.left
    const found = this.caches.get(looked.key) ?? (await this.find(looked.key, signal))
    // Since it was looked at, the cache may have come or gone.
    const context = found ?? (await this.read(looked.ids ?? (await this.idsOf(text, signal)), signal))
    try {
      return await use({ ...context, reused: found !== undefined })
    } finally {
      this.keep(looked.key, context)
    }
  }

  /** What is in memory goes to disk, where there is a folder for it. */
  async close(): Promise<void> {
    this.caches.clear()
    this.leave()
    await this.left
  }

  private give(path: string, kv: KvCache): void {
    const context = contextOf(kv)
    const bytes = this.bytes + sizeOf(context)
    if (bytes > this.budgetBytes) {
      kv.close()
      throw new InputError(
        `${path} does not fit: the caches given hold ${bytes} bytes, more than the ${this.budgetBytes} that are kept`,
      )
    }
    this.caches.set(kv.contextHash, context)
  }

  private async idsOf(text: string, signal: AbortSignal): Promise<Int32Array> {
    return (await this.look(text, signal)).ids ?? this.model.tokenizer.encode(text, { signal })
  }

  private longestRepetition(ids: Int32Array): number {
    if (!isPairLevel(this.eviction.level ?? 'head') || ids.length === 0) return 0
    const { prompts } = this
    return Math.max(...reconstructionInputs(ids, { prompts }).map((input) => input.ids.length))
  }

  private async read(ids: Int32Array, signal: AbortSignal): Promise<ReadContext> {
    const { prefixIds } = this.prompts
    // The engine wants a context: without one the end of the system prefix stands in, and nothing is evicted.
    const kv = await this.whileReading(prefixIds.length + ids.length, (onProgress) =>
      ids.length === 0
        ? this.model.prefillIds(prefixIds.subarray(0, -1), prefixIds.subarray(-1), { signal })
        : this.model.prefillIds(prefixIds, ids, { ...this.eviction, signal, onProgress }),
    )
    return contextOf(kv)
  }

  private async find(key: string, signal: AbortSignal): Promise<ReadContext | undefined> {
    const kv = await this.files.find(key, signal)
    return kv && contextOf(kv)
  }

  /** One that alone is past the budget is not kept. */
  private keep(key: string, context: ReadContext): void {
    this.caches.set(key, context)
    if (!this.caches.has(key)) this.leaving.push(context)
    this.leave()
  }

  /** No answer waits for this; the next one does, as the memory is still held. */
  private leave(): void {
    for (const { kv, tokens } of this.leaving.splice(0)) {
      // Nothing but the system prefix is quicker read than found.
      const worth = tokens > this.prompts.prefixIds.length
      this.left = this.left.then(async () => {
        if (worth) await this.files.keep(kv)
        kv.close()
      })
    }
  }
}

function contextOf(kv: KvCache): ReadContext {
  const { prefix, context } = kv.info
  return { kv, tokens: prefix + context, bytes: kv.bytes, fullBytes: kv.fullBytes }
}

function sizeOf({ kv }: ReadContext): number {
  return Math.max(1, kv.info.allocatedBytes)
}
