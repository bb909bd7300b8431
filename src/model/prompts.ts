/** A model's fixed texts as token ids. Each piece is tokenised alone; they are joined as ids, never as text. */

import { check } from '../check.js'
import { InputError } from '../errors.js'
import {
  type ChatFormatName,
  chatFormats,
  instruction,
  reasoningInstruction,
  repeatPart,
  repeatWhole,
} from './chat-formats.js'
import type { Turns } from './chat-template.js'
import type { Tokenizer } from './tokenizer.js'

export interface Prompts {
  /** `template`: the tokenizer's own. */
  format: ChatFormatName | 'template'
  /** System prefix, never evicted. */
  prefixIds: Int32Array
  /** The system prefix of the data set gsm. */
  reasoningPrefixIds: Int32Array
  /** Between a question and its answer. */
  postfixIds: Int32Array
  /** Asks to repeat the whole context. */
  repeatWholeIds: Int32Array
  /** Asks to repeat from the tokens that follow on. */
  repeatPartIds: Int32Array
  /** `"\n\n" + query`, then the postfix. @throws InputError for a query of blanks only */
  queryIds(query: string, signal?: AbortSignal): Promise<Int32Array>
  /**
   * A later query of a conversation: the user's turn is opened anew, then query and postfix.
   * @param ended the answer before it ends with the model's own closing token
   */
  nextQueryIds(query: string, ended: boolean, signal?: AbortSignal): Promise<Int32Array>
}

/** @param preferred the family's own format, taken when the tokenizer knows its marker; undefined: it has none */
export async function promptsFor(
  tokenizer: Tokenizer,
  preferred: ChatFormatName | undefined,
): Promise<Prompts> {
  const { name, system, postfix, nextTurn } = await chatFormatOf(tokenizer, preferred)
  const fixed = [system + instruction, system + reasoningInstruction, postfix, repeatWhole, repeatPart]
  const [prefixIds, reasoningPrefixIds, postfixIds, repeatWholeIds, repeatPartIds] = (await Promise.all(
    fixed.map((text) => tokenizer.encode(text)),
  )) as [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]
  const ask = async (lead: string, query: string, signal?: AbortSignal): Promise<Int32Array> => {
    check(query, 'query', 'string')
    const text = query.trim()
    if (text === '') throw new InputError('The query is empty; ask something.')
    return Int32Array.from([...(await tokenizer.encode(lead + text, { signal })), ...postfixIds])
  }
  return {
    format: name,
    prefixIds,
    reasoningPrefixIds,
    postfixIds,
    repeatWholeIds,
    repeatPartIds,
    queryIds: (query, signal) => ask('\n\n', query, signal),
    async nextQueryIds(query, ended, signal) {
      const all = await ask(nextTurn, query, signal)
      // The closing token is the first; only special tokens have no text.
      return ended && (await tokenizer.decode(all.subarray(0, 1))) === '' ? all.subarray(1) : all
    },
  }
}

/** The family's format, else one that the tokenizer has the tokens of; a template before those if the family has none. */
async function chatFormatOf(
  tokenizer: Tokenizer,
  preferred: ChatFormatName | undefined,
): Promise<Turns & { name: Prompts['format'] }> {
  const known = Object.keys(chatFormats) as ChatFormatName[]
  const ids = await tokenizer.specialIds(known.map((name) => chatFormats[name].marker))
  const fits = (name: ChatFormatName): boolean => ids[known.indexOf(name)] !== undefined
  const format = [...(preferred ? [preferred] : []), ...known].find(fits)
  if (!preferred || !format) {
    const turns = await tokenizer.turns()
    if (turns) return { name: 'template', ...turns }
  }
  if (format) return { name: format, ...chatFormats[format] }
  const markers = [...new Set(known.map((name) => chatFormats[name].marker))].join(', ')
  throw new InputError(
    `${tokenizer.file} knows none of the chat formats headzip can write: it has none of ${markers}, and no chat template`,
  )
}
