/**
 * What a chat request may hold. Descriptions say what is expected: an error's sentence is made of them. What is not
 * listed is refused, since a misspelt field would change nothing, silently.
 */

import { ignored, unsupported, unsupportedInMessages } from './fields.js'

export interface TextPart {
  type: 'text'
  text: string
}

export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant'
  content: string | TextPart[]
}

export interface ChatRequest {
  model: string
  messages: ChatMessage[]
  /** Ours: the long text that the messages are about. */
  context?: string | null
  stream?: boolean | null
  stream_options?: { include_usage?: boolean | null } | null
  max_tokens?: number | null
  max_completion_tokens?: number | null
  temperature?: number | null
  top_p?: number | null
  /** As other servers name it; OpenAI has none. */
  top_k?: number | null
  seed?: number | null
  stop?: string | string[] | null
}

const parts = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    description: 'a text part: { type: "text", text }',
    required: ['type', 'text'],
    additionalProperties: false,
    properties: {
      type: { enum: ['text'], description: '"text", the only kind of content that is read' },
      text: { type: 'string', description: 'a string' },
      prompt_cache_breakpoint: {},
    },
  },
}

const message = {
  type: 'object',
  description: 'a message: { role, content }',
  required: ['role', 'content'],
  additionalProperties: false,
  properties: {
    role: {
      enum: ['system', 'developer', 'user', 'assistant'],
      description: 'system, developer, user or assistant',
    },
    content: { anyOf: [{ type: 'string' }, parts], description: 'a string or a list of text parts' },
    ...unsupportedInMessages,
  },
}

const stopString = { type: 'string', minLength: 1, maxLength: 256 }

/** @param maxNewTokens the longest answer that a request may ask for */
export function chatSchema(maxNewTokens: number): object {
  const tokens = {
    type: 'integer',
    minimum: 1,
    maximum: maxNewTokens,
    nullable: true,
    description: `an integer from 1 to ${maxNewTokens}`,
  }
  const flag = { type: 'boolean', nullable: true, description: 'true or false' }
  return {
    type: 'object',
    description: 'a JSON object',
    required: ['model', 'messages'],
    additionalProperties: false,
    properties: {
      model: { type: 'string', description: 'a string' },
      messages: { type: 'array', minItems: 1, items: message, description: 'a list of one message or more' },
      context: { type: 'string', nullable: true, description: 'a string' },
      stream: flag,
      stream_options: {
        type: 'object',
        nullable: true,
        description: 'an object',
        additionalProperties: false,
        properties: { include_usage: flag, include_obfuscation: {} },
      },
      max_tokens: tokens,
      max_completion_tokens: tokens,
      temperature: number({ minimum: 0, maximum: 2 }, 'a number from 0 to 2'),
      top_p: number({ exclusiveMinimum: 0, maximum: 1 }, 'a number in (0, 1]'),
      top_k: integer({ minimum: 0, maximum: 2 ** 31 - 1 }, 'a whole number, 0 for no limit'),
      seed: integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, 'a whole number'),
      stop: {
        anyOf: [stopString, { type: 'array', maxItems: 16, items: stopString }, { enum: [null] }],
        description: 'a string or a list of up to 16 strings, each of 1 to 256 characters',
      },
      ...unsupported,
      ...ignored,
    },
  }
}

function number(range: object, description: string): object {
  return { type: 'number', nullable: true, ...range, description }
}

function integer(range: object, description: string): object {
  return { type: 'integer', nullable: true, ...range, description }
}
