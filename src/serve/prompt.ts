/**
 * Messages become a context, which is read once and kept compressed, and a query, which is read anew each time.
 *
 * The context is the system messages and the first user turn but for its question: its last part where the turn has
 * several (messages or text parts), otherwise its last paragraph. With the field `context` the whole turn is the
 * question. So a conversation keeps its context from turn to turn. The model reads the same words in the same order
 * wherever they are cut.
 */

import type { Prompts } from '../model/prompts.js'
import type { Tokenizer } from '../model/tokenizer.js'
import { ApiError } from './errors.js'
import type { ChatMessage, ChatRequest } from './schema.js'

export interface ChatPrompt {
  /** Empty when the request is a question and nothing else. */
  context: string
  /** From the first question to where the model's answer starts; the turns between stand in it. */
  queryIds: Int32Array
}

/** @throws ApiError for messages without a question */
export async function promptOf(
  request: Pick<ChatRequest, 'messages' | 'context'>,
  model: { prompts: Promise<Prompts>; tokenizer: Tokenizer },
  signal?: AbortSignal,
): Promise<ChatPrompt> {
  const { system, turns } = turnsOf(request.messages)
  const [first, ...later] = turns
  const { document, question } =
    request.context == null
      ? splitTurn(first!.parts)
      : { document: request.context, question: join(first!.parts) }
  const prompts = await model.prompts
  const queryParts = [prompts.queryIds(question, signal)]
  for (const [i, { parts }] of later.entries())
    queryParts.push(
      model.tokenizer.encode(turns[i]!.answer!, { signal }),
      prompts.nextQueryIds(join(parts), false, signal),
    )
  const ids = await Promise.all(queryParts)
  return {
    context: join([...system, document]),
    queryIds: Int32Array.from(ids.flatMap((each) => Array.from(each))),
  }
}

interface Turn {
  /** Texts of the user, and of the system when it speaks up later. */
  parts: string[]
  /** Of the assistant; the last turn has none yet. */
  answer?: string
}

function turnsOf(messages: readonly ChatMessage[]): { system: string[]; turns: Turn[] } {
  const system: string[] = []
  const turns: Turn[] = []
  for (const [i, { role, content }] of messages.entries()) {
    const texts = (typeof content === 'string' ? [content] : content.map(({ text }) => text)).filter(notBlank)
    const last = turns.at(-1)
    if (role === 'assistant') {
      if (!last) throw new ApiError(400, `messages[${i}] is the assistant's, but no user has spoken before`)
      last.answer = (last.answer ?? '') + texts.join('')
    } else if (role !== 'user' && !last) system.push(...texts)
    else if (!last || last.answer !== undefined) turns.push({ parts: texts })
    else last.parts.push(...texts)
  }
  const last = turns.at(-1)
  if (!last || last.answer !== undefined) {
    throw new ApiError(400, 'the last message must be of the user', { param: 'messages' })
  }
  if (turns.some(({ parts }) => parts.length === 0)) {
    throw new ApiError(400, 'a message of the user is empty', { param: 'messages' })
  }
  return { system, turns }
}

function splitTurn(parts: readonly string[]): { document: string; question: string } {
  if (parts.length > 1) return { document: join(parts.slice(0, -1)), question: parts.at(-1)! }
  const text = parts[0]!.trimEnd()
  const paragraph = /^(.*\S)[^\S\n]*\n[^\S\n]*\n\s*(\S.*)$/s.exec(text)
  return paragraph ? { document: paragraph[1]!, question: paragraph[2]! } : { document: '', question: text }
}

function join(texts: readonly string[]): string {
  return texts.filter(notBlank).join('\n\n')
}

function notBlank(text: string): boolean {
  return text.trim() !== ''
}
