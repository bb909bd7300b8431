/** Queries against a cache. */

import type { NativeEngine } from '../engine/binding.js'
import { type JobOptions, watch } from '../engine/job.js'
import { invalidParameter } from '../errors.js'
import type { ModelDescription } from '../model/describe.js'
import type { KvCache } from './kv-cache.js'
import type { Model } from './model.js'

export interface GenerateIdsOptions extends JobOptions {
  kv: KvCache
  maxNewTokens?: number | undefined
  /** Go on past the end-of-sequence token. */
  ignoreEos?: boolean | undefined
  /** Keep query and answer in the cache: the conversation goes on. */
  updateCache?: boolean | undefined
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** Called with new text as it comes. */
  onText?: ((text: string) => void) | undefined
}

export interface GeneratedIds {
  ids: Int32Array
  /** (vocab) logits of the first step */
  firstLogits: Float32Array
  timeToFirstToken: number
  tokensPerSecond: number
}

export interface Generation extends GeneratedIds {
  text: string
  toString(): string
}

export const defaultMaxNewTokens = 256

export async function generateIds(
  engine: NativeEngine,
  description: ModelDescription,
  queryIds: Int32Array,
  options: GenerateIdsOptions & { onIds?: (ids: Int32Array) => void },
): Promise<GeneratedIds> {
  const { kv, maxNewTokens = defaultMaxNewTokens, ignoreEos = false, updateCache = false, onIds } = options
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    throw invalidParameter('maxNewTokens', 'a positive integer', maxNewTokens)
  const stop = Int32Array.from(ignoreEos ? [] : description.eosIds)
  let takeTokens: (() => Int32Array) | undefined
  const pass = (): void => {
    const ids = takeTokens?.()
    if (ids && ids.length > 0) onIds?.(ids)
  }
  const timer = onIds && setInterval(pass, 15)
  try {
    const result = await watch(() => {
      const job = engine.generate(kv.native, { query: queryIds, maxTokens: maxNewTokens, stop, updateCache })
      takeTokens = job.takeTokens
      return job
    }, options)
    pass()
    const { ids, firstLogits, firstTokenSeconds, decodeSeconds } = result
    const tokensPerSecond = ids.length > 1 && decodeSeconds > 0 ? (ids.length - 1) / decodeSeconds : 0
    return { ids, firstLogits, timeToFirstToken: firstTokenSeconds, tokensPerSecond }
  } finally {
    clearInterval(timer)
  }
}

export async function generateText(
  model: Model,
  query: string,
  options: GenerateOptions,
): Promise<Generation> {
  const { onText } = options
  const seen: number[] = []
  let shown = 0
  const onIds = (ids: Int32Array): void => {
    seen.push(...ids)
    const text = model.tokenizer.decode(seen)
    // A character may be spread over tokens: hold back what may still change.
    if (text.endsWith('\ufffd')) return
    onText?.(text.slice(shown))
    shown = text.length
  }
  const made = await model.generateIds(model.prompts.queryIds(query), {
    ...options,
    ...(onText && { onIds }),
  })
  const text = model.tokenizer.decode(made.ids)
  if (onText && text.length > shown) onText(text.slice(shown))
  return { ...made, text, toString: () => text }
}
