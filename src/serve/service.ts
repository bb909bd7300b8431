/** Answers chat requests from one model: no HTTP here. */

import { abortError } from '../engine/job.js'
import type { Generation } from '../inference/generate.js'
import type { Model } from '../inference/model.js'
import type { Contexts, ContextText, FoundContext } from './contexts.js'
import { ApiError } from './errors.js'
import { JobQueue } from './job-queue.js'
import { positionsLeft } from './positions.js'
import { promptOf } from './prompt.js'
import type { ChatRequest } from './schema.js'

export interface ServiceOptions {
  /** Longest answer, and the length of one that names no limit. */
  maxNewTokens: number
  /** Requests that may wait for their turn. */
  maxWaiting: number
}

/** A request that has been read and found good. */
export interface PreparedChat {
  request: ChatRequest
  context: string
  looked: ContextText
  queryIds: Int32Array
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
  private readonly queue: JobQueue
  private readonly running = new Set<AbortController>()
  /** Requests that are being tokenised, and have no place in the queue yet. */
  private preparing = 0

  constructor(
    readonly model: Model,
    readonly contexts: Contexts,
    private readonly options: ServiceOptions,
  ) {
    this.queue = new JobQueue(options.maxWaiting)
  }

  /** Requests that have been taken and do not run yet. */
  get waiting(): number {
    return this.queue.waiting + this.preparing
  }

  /**
   * @param controller stops it
   * @throws ApiError for another model, messages without a question, more tokens than the model has positions, or no
   * room in the queue
   */
  async prepare(request: ChatRequest, controller: AbortController): Promise<PreparedChat> {
    this.checkModel(request.model)
    // Before the work of tokenising is done for nothing.
    this.queue.checkRoom(this.preparing)
    this.preparing++
    this.running.add(controller)
    try {
      return await this.read(request, controller.signal)
    } finally {
      this.running.delete(controller)
      this.preparing--
    }
  }

  private async read(request: ChatRequest, signal: AbortSignal): Promise<PreparedChat> {
    const { context, queryIds } = await promptOf(request, this.model, signal)
    const looked = await this.contexts.look(context, signal)
    const promptTokens = looked.tokens + queryIds.length
    const left = positionsLeft(this.model, looked, promptTokens)
    const asked = request.max_completion_tokens ?? request.max_tokens ?? this.options.maxNewTokens
    return { request, context, looked, queryIds, promptTokens, most: Math.min(asked, left) }
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
    chat: PreparedChat,
    controller: AbortController,
    onText?: (text: string) => void,
  ): Promise<ChatAnswer> {
    const { signal } = controller
    this.running.add(controller)
    try {
      return await this.queue.run(signal, () =>
        this.contexts.use(chat.context, chat.looked, signal, async (context) => {
          const made = await this.generate(chat, context, signal, onText)
          return toAnswer(chat, made, context)
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
    await this.queue.idle()
    await this.contexts.close()
  }

  private generate(
    { request, queryIds, most }: PreparedChat,
    { kv }: FoundContext,
    signal: AbortSignal,
    onText: ((text: string) => void) | undefined,
  ): Promise<Generation> {
    const { temperature, top_p, top_k, seed, stop } = request
    return this.model.generate(queryIds, {
      kv,
      maxNewTokens: most,
      temperature: temperature ?? undefined,
      topP: top_p ?? undefined,
      topK: top_k ?? undefined,
      seed: seed ?? undefined,
      stop: stop ?? undefined,
      signal,
      onText,
    })
  }
}

function toAnswer({ promptTokens }: PreparedChat, made: Generation, context: FoundContext): ChatAnswer {
  const { text, ids, finishReason } = made
  return {
    text,
    finishReason: finishReason === 'length' ? 'length' : 'stop',
    promptTokens,
    completionTokens: ids.length,
    context,
  }
}
