/** Questions that build on one another, over one context. */

import { check } from '../check.js'
import type { GenerateOptions, Generation } from './generate.js'
import { checkCache, type KvCache } from './kv-cache.js'
import { checkModel, type Model } from './model.js'

/**
 * Keeps every question and answer behind the context, on a copy of its cache, so that the context stays as it was.
 * The user's turn is opened anew for each question, as the model's chat format has it.
 */
export class Conversation {
  private kv: KvCache
  private asked = 0
  /** The last answer ends with the model's own closing token. */
  private ended = false

  constructor(
    private readonly model: Model,
    private readonly context: KvCache,
  ) {
    checkModel(model)
    checkCache(context, 'context')
    this.kv = context.clone()
  }

  /** Questions that were answered. */
  get turns(): number {
    return this.asked
  }

  /** Position of the next token, and bytes of keys and values, what was said included. */
  get state(): { position: number; bytes: number } {
    return { position: this.kv.info.position, bytes: this.kv.bytes }
  }

  /** @throws as `model.generate` does; the question is then forgotten, with what was answered so far */
  async ask(query: string, options: Omit<GenerateOptions, 'kv' | 'updateCache'> = {}): Promise<Generation> {
    check(query, 'query', 'string')
    check(options, 'options', 'object')
    const prompts = await this.model.prompts
    const { signal } = options
    const ids = await (this.asked === 0
      ? prompts.queryIds(query, signal)
      : prompts.nextQueryIds(query, this.ended, signal))
    const made = await this.model.generate(ids, { ...options, kv: this.kv, updateCache: true })
    this.asked++
    this.ended = made.finishReason === 'eos'
    return made
  }

  /** Forgets all that was said. */
  reset(): void {
    this.kv.close()
    this.kv = this.context.clone()
    this.asked = 0
  }

  close(): void {
    this.kv.close()
  }
}
