/** OpenAI's shapes: https://platform.openai.com/docs/api-reference/chat */

import { randomUUID } from 'node:crypto'
import type { ChatAnswer } from './service.js'

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  /** Of the prompt: tokens whose KV was there already. */
  prompt_tokens_details: { cached_tokens: number }
  /** Ours: bytes of the context's keys and values as held, with nothing evicted, and the difference. */
  kv_bytes: number
  kv_full_bytes: number
  kv_bytes_saved: number
}

export function usageOf({ promptTokens, completionTokens, context }: ChatAnswer): Usage {
  const { bytes, fullBytes, reused, tokens } = context
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: reused ? tokens : 0 },
    kv_bytes: bytes,
    kv_full_bytes: fullBytes,
    kv_bytes_saved: fullBytes - bytes,
  }
}

/** What all chunks of one answer have in common. */
export interface ReplyHead {
  id: string
  created: number
  model: string
}

export function newHead(model: string): ReplyHead {
  return { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model }
}

export function completion(head: ReplyHead, answer: ChatAnswer): object {
  const message = { role: 'assistant', content: answer.text, refusal: null }
  return {
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finishReason }],
    usage: usageOf(answer),
  }
}

export interface Delta {
  role?: 'assistant'
  content?: string
}

/** A chunk of a streamed answer. @param usage null in every chunk but the last, where usage was asked for */
export function chunk(
  head: ReplyHead,
  delta: Delta,
  finishReason: ChatAnswer['finishReason'] | null,
  usage?: null,
): object {
  return {
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
    ...(usage === null && { usage }),
  }
}

/** Ends a stream whose request asked for the usage. */
export function usageChunk(head: ReplyHead, answer: ChatAnswer): object {
  return { ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(answer) }
}
