/** Answers chat requests from one model: no HTTP here. */

import { abortError } from '../engine/job.js'
import type { Generation } from '../inference/generate.js'
import type { Model } from '../inference/model.js'
import { Contexts, type ContextText, type Eviction, type FoundContext } from './contexts.js'
import { ApiError } from './errors.js'
import { promptOf } from './prompt.js'
import type { ChatRequest } from './schema.js'
import { Turns } from './turns.js'

export interface ServiceOptions {
  /** What is evicted of every context; nothing when left out. */
  eviction?: Eviction | undefined
  /** Bytes of KV kept for contexts that may come again. */
  cacheBytes: number
  /** Longest answer, and the length of one that names no limit. */
  maxNewTokens: number
  /** Requests that may wait for their turn. */
  maxWaiting: number
}

/** A request that has been read and found good. */
export interface ChatJob {
  request: ChatRequest
  context: string
  looked: ContextText
  query: string
  promptTokens: number
  /** Most new tokens: what was asked for, or what the model's positions leave. */
  most: number
}

export interface ChatAnswer {
  text: string
  finishReason: 'stop' | 'length'
  promptTokens: number
  completionTokens: number
  context: FoundContext
}

export class ChatService {
  readonly contexts: Contexts
  private readonly turns: Turns
  private readonly running = new Set<AbortController>()

  constructor(
    readonly model: Model,
    private readonly options: ServiceOptions,
  ) {
    this.contexts = new Contexts(model, options.eviction ?? {}, options.cacheBytes)
    this.turns = new Turns(options.maxWaiting)
  }

  get waiting(): number {
    return this.turns.waiting
  }

  /** @throws ApiError for another model, messages without a question, or more tokens than the model has positions */
  prepare(request: ChatRequest): ChatJob {
    this.checkModel(request.model)
    const { tokenizer, prompts, description } = this.model
    const postfix = tokenizer.decode(prompts.postfixIds, { special: true })
    const { context, query } = promptOf(request, prompts.format, postfix)
    const looked = this.contexts.look(context)
    const promptTokens = looked.tokens + prompts.queryIds(query).length
    const { maxPositions } = description.spec
    if (promptTokens >= maxPositions) {
      throw new ApiError(
        400,
        `the messages have ${promptTokens} tokens, and ${description.id} has ${maxPositions} positions for them and the answer`,
        { code: 'context_length_exceeded', param: 'messages' },
      )
    }
    const asked = request.max_completion_tokens ?? request.max_tokens ?? this.options.maxNewTokens
    return {
      request,
      context,
      looked,
      query,
      promptTokens,
      most: Math.min(asked, maxPositions - promptTokens),
    }
  }

  checkModel(name: string): void {
    const { id } = this.model.description
    if (name === id) return
    throw new ApiError(404, `there is no model ${JSON.stringify(name.slice(0, 80))} here, only ${id}`, {
      code: 'model_not_found',
      param: 'model',
    })
  }

  /** Waits for its turn, reads the context unless it is known, answers. @param controller stops it */
  async answer(
    job: ChatJob,
    controller: AbortController,
    onText?: (text: string) => void,
  ): Promise<ChatAnswer> {
    const { signal } = controller
    this.running.add(controller)
    try {
      return await this.turns.run(signal, () =>
        this.contexts.use(job.context, job.looked, signal, async (context) => {
          const made = await this.generate(job, context, signal, onText)
          return toAnswer(job, made, context)
        }),
      )
    } finally {
      this.running.delete(controller)
    }
  }

  /** Stops every job, running or waiting. */
  stop(): void {
    for (const controller of this.running) controller.abort(abortError())
  }

  /** A job whose client has gone may still be on its way out. */
  async close(): Promise<void> {
    this.stop()
    await this.turns.idle()
    this.contexts.close()
  }

  private generate(
    { query, most }: ChatJob,
    { kv }: FoundContext,
    signal: AbortSignal,
    onText: ((text: string) => void) | undefined,
  ): Promise<Generation> {
    return this.model.generate(query, { kv, maxNewTokens: most, signal, onText })
  }
}

function toAnswer(
  { most, promptTokens }: ChatJob,
  { text, ids }: Generation,
  context: FoundContext,
): ChatAnswer {
  return {
    text,
    finishReason: ids.length >= most ? 'length' : 'stop',
    promptTokens,
    completionTokens: ids.length,
    context,
  }
}
