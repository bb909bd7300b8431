/** Queries against a cache, alone or several at a time. */

import { check, checkEach, checkFields, checkOptions, jobFields } from '../check.js'
import type { NativeEngine, NativeGenerateParams, NativeGeneration } from '../engine/binding.js'
import { type JobOptions, watch } from '../engine/job.js'
import { invalidParameter } from '../errors.js'
import type { ModelDescription } from '../model/describe.js'
import { AnswerText, checkStops } from './answer-text.js'
import { checkCache, type KvCache } from './kv-cache.js'
import type { Model } from './model.js'
import { checkSampling, type SamplingOptions } from './sampling.js'

export interface AnswerOptions extends SamplingOptions {
  /** Longest answer; default 256. */
  maxNewTokens?: number | undefined
  /** Go on past the end-of-sequence token. */
  ignoreEos?: boolean | undefined
}

export interface GenerateIdsOptions extends AnswerOptions, JobOptions {
  kv: KvCache
  /** Keep query and answer in the cache: the conversation goes on. Otherwise the cache is only read. */
  updateCache?: boolean | undefined
}

export interface TextOptions {
  /** The answer ends before any of these. */
  stop?: string | readonly string[] | undefined
  /** Called with new text as it comes: whole characters, never a part of a stop string. */
  onText?: ((text: string) => void) | undefined
}

export interface GenerateOptions extends GenerateIdsOptions, TextOptions {}

/** One query of a batch, with what differs from the batch's options. */
export interface BatchQuery extends AnswerOptions, TextOptions {
  query: string
  /** Ends this answer where it is; the others go on. */
  signal?: AbortSignal | undefined
}

export interface BatchOptions extends AnswerOptions, JobOptions {
  kv: KvCache
  stop?: string | readonly string[] | undefined
}

/** `eos`: the model ended it; `stop`: a stop string; `length`: maxNewTokens or the model's positions. */
export type FinishReason = 'eos' | 'stop' | 'length' | 'aborted'

export interface GeneratedIds {
  /** With a stop string: up to the token that completes it. */
  ids: Int32Array
  /** (vocab) logits of the first step */
  firstLogits: Float32Array
  timeToFirstToken: number
  tokensPerSecond: number
  finishReason: FinishReason
  /** What the tokens were drawn with. */
  seed: number
}

export interface Generation extends GeneratedIds {
  text: string
  toString(): string
}

export const defaultMaxNewTokens = 256

/** How often new tokens are looked for. */
const pollMilliseconds = 15

/** Sees the tokens of one answer as they come. @returns true to end it with the last of them */
type Watcher = (ids: Int32Array) => Promise<boolean>

interface Asked extends AnswerOptions {
  queryIds: Int32Array
  watcher?: Watcher | undefined
  signal?: AbortSignal | undefined
}

export async function generateIds(
  engine: NativeEngine,
  description: ModelDescription,
  queryIds: Int32Array,
  options: GenerateIdsOptions,
): Promise<GeneratedIds> {
  check(queryIds, 'queryIds', 'ids')
  checkAnswering(options)
  const { kv, updateCache = false } = options
  const asked = { ...options, signal: undefined, queryIds }
  const [made] = await kv.uses.during(updateCache, () =>
    run(engine, description, kv, [asked], { ...options, updateCache }),
  )
  return made!
}

export async function generateText(
  engine: NativeEngine,
  model: Model,
  query: string | Int32Array,
  options: GenerateOptions,
): Promise<Generation> {
  if (typeof query !== 'string') check(query, 'query', 'ids', 'a string or an Int32Array of token ids')
  checkAnswering(options)
  const { kv, updateCache = false, onText, signal } = options
  const answer = new AnswerText(model.tokenizer, checkStops(options.stop))
  return kv.uses.during(updateCache, async () => {
    const queryIds = typeof query === 'string' ? await (await model.prompts).queryIds(query, signal) : query
    const start = kv.info.position
    const asked: Asked = { ...options, signal: undefined, queryIds, watcher: watcherOf(answer, options) }
    const [made] = await run(engine, model.description, kv, [asked], {
      ...options,
      updateCache,
      rewindable: options.stop !== undefined,
    })
    const generation = await finishText(made!, answer, onText)
    // The engine ran ahead of whoever found the stop string: the conversation ends with it.
    const end = start + queryIds.length + answer.tokens
    if (updateCache && answer.stopped && kv.info.position > end) kv.native.rewind(end)
    return generation
  })
}

export async function generateBatch(
  engine: NativeEngine,
  model: Model,
  queries: readonly (string | BatchQuery)[],
  options: BatchOptions,
): Promise<Generation[]> {
  checkEach(queries, 'queries', checkQuery, 0)
  checkAnswering(options)
  if (queries.length === 0) return []
  const { kv, onProgress, signal, ...shared } = options
  const each = queries.map((query) => ({ ...shared, ...(typeof query === 'string' ? { query } : query) }))
  const answers = each.map(({ stop }) => new AnswerText(model.tokenizer, checkStops(stop)))
  return kv.uses.during(false, async () => {
    const prompts = await model.prompts
    const queryIds = await Promise.all(each.map(({ query }) => prompts.queryIds(query, signal)))
    const asked = each.map(
      (query, i): Asked => ({ ...query, queryIds: queryIds[i]!, watcher: watcherOf(answers[i]!, query) }),
    )
    const made = await run(engine, model.description, kv, asked, { onProgress, signal, updateCache: false })
    return Promise.all(made.map((one, i) => finishText(one, answers[i]!, each[i]!.onText)))
  })
}

/** Kinds of what every way of answering takes; how tokens are drawn and where an answer ends has checks of its own. */
function checkAnswering(options: unknown): void {
  checkOptions(options, { ...jobFields, updateCache: 'flag?', ignoreEos: 'flag?', onText: 'function?' })
  checkCache((options as { kv?: unknown }).kv)
}

function checkQuery(query: unknown, name: string): void {
  if (typeof query === 'string') return
  checkFields(query, name, { query: 'string', ignoreEos: 'flag?', onText: 'function?', signal: 'signal?' })
}

function watcherOf(answer: AnswerText, { stop, onText }: TextOptions): Watcher | undefined {
  if (!onText && stop === undefined) return undefined
  return async (ids) => {
    const text = await answer.push(ids)
    if (text !== '') onText?.(text)
    return answer.stopped
  }
}

async function finishText(
  made: GeneratedIds,
  answer: AnswerText,
  onText: TextOptions['onText'],
): Promise<Generation> {
  // Tokens that no watcher saw as they came.
  let rest = await answer.push(made.ids.subarray(answer.tokens))
  rest += await answer.end()
  if (rest !== '') onText?.(rest)
  const { text } = answer
  const ended = answer.stopped && { ids: made.ids.slice(0, answer.tokens), finishReason: 'stop' as const }
  return { ...made, ...ended, text, toString: () => text }
}

async function run(
  engine: NativeEngine,
  description: ModelDescription,
  kv: KvCache,
  asked: readonly Asked[],
  options: JobOptions & { updateCache: boolean; rewindable?: boolean },
): Promise<GeneratedIds[]> {
  const params = asked.map((one) => nativeParams(one, description.eosIds))
  const ended = asked.map(() => false)
  let look = (): void => {}
  const unlisten: (() => void)[] = []
  const watched = asked.some(({ watcher }) => watcher !== undefined)
  const timer = watched && setInterval(() => look(), pollMilliseconds)
  // Of each answer, so that its tokens are read one after another.
  const reading = asked.map(() => Promise.resolve())
  let unreadable: { error: unknown } | undefined
  try {
    const made = await watch(() => {
      const handle = engine.generate(kv.native, params, options.updateCache, options.rewindable ?? false)
      const finish = (i: number): void => {
        ended[i] = true
        handle.finish(i)
      }
      look = () => {
        for (const [i, { watcher }] of asked.entries()) {
          if (!watcher || ended[i]) continue
          const ids = handle.takeTokens(i)
          if (ids.length === 0) continue
          reading[i] = reading[i]!.then(async () => {
            if (!unreadable && (await watcher(ids))) finish(i)
          }).catch((error: unknown) => {
            unreadable ??= { error }
            handle.abort()
          })
        }
      }
      for (const [i, { signal }] of asked.entries()) {
        if (!signal) continue
        const abort = (): void => finish(i)
        if (signal.aborted) abort()
        signal.addEventListener('abort', abort, { once: true })
        unlisten.push(() => signal.removeEventListener('abort', abort))
      }
      return handle
    }, options)
    look()
    await Promise.all(reading)
    if (unreadable) throw unreadable.error
    return made.map((one, i) => {
      const seed = params[i]!.seed
      return generatedIds(one, seed, asked[i]!.signal?.aborted === true && ended[i] === true)
    })
  } catch (error) {
    // Nobody is shown text of a job that has failed.
    await Promise.all(reading)
    throw unreadable ? unreadable.error : error
  } finally {
    clearInterval(timer || undefined)
    for (const each of unlisten) each()
  }
}

function nativeParams(asked: Asked, eosIds: readonly number[]): NativeGenerateParams {
  const { queryIds, maxNewTokens = defaultMaxNewTokens, ignoreEos = false } = asked
  if (!Number.isSafeInteger(maxNewTokens) || maxNewTokens < 1)
    throw invalidParameter('maxNewTokens', 'a positive integer', maxNewTokens)
  const stop = Int32Array.from(ignoreEos ? [] : eosIds)
  return { query: queryIds, maxTokens: maxNewTokens, stop, ...checkSampling(asked) }
}

function generatedIds(made: NativeGeneration, seed: number, aborted: boolean): GeneratedIds {
  const { ids, stopped, firstLogits, firstTokenSeconds, decodeSeconds } = made
  const tokensPerSecond = ids.length > 1 && decodeSeconds > 0 ? (ids.length - 1) / decodeSeconds : 0
  const finishReason = stopped ? 'eos' : aborted ? 'aborted' : 'length'
  return { ids, firstLogits, timeToFirstToken: firstTokenSeconds, tokensPerSecond, finishReason, seed }
}
