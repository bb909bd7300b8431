/** A model's fixed texts as token ids. Each piece is tokenised alone; they are joined as ids, never as text. */

import { InputError } from '../errors.js'
import {
  type ChatFormatName,
  chatFormats,
  instruction,
  reasoningInstruction,
  repeatPart,
  repeatWhole,
} from './chat-formats.js'
import { type Turns, turnsOf } from './chat-template.js'
import type { Tokenizer } from './tokenizer.js'

export interface Prompts {
  /** `template`: the tokenizer's own. */
  format: ChatFormatName | 'template'
  /** System prefix: the sink, never evicted. */
  sinkIds: Int32Array
  /** The system prefix of the data set gsm. */
  reasoningSinkIds: Int32Array
  /** Between a question and its answer. */
  postfixIds: Int32Array
  /** Asks to repeat the whole context. */
  repeatWholeIds: Int32Array
  /** Asks to repeat from the tokens that follow on. */
  repeatPartIds: Int32Array
  /** `"\n\n" + query`, then the postfix. @throws InputError for a query of blanks only */
  queryIds(query: string): Int32Array
  /**
   * A later query of a conversation: the user's turn is opened anew, then query and postfix.
   * @param ended the answer before it ends with the model's own closing token
   */
  nextQueryIds(query: string, ended: boolean): Int32Array
}

/** @param preferred the family's own format, taken when the tokenizer knows its marker; undefined: it has none */
export function promptsFor(tokenizer: Tokenizer, preferred: ChatFormatName | undefined): Prompts {
  const { name, system, postfix, nextTurn } = chatFormatOf(tokenizer, preferred)
  const ids = (text: string): Int32Array => Int32Array.from(tokenizer.encode(text))
  const postfixIds = ids(postfix)
  const ask = (lead: string, query: string): Int32Array => {
    const text = query.trim()
    if (text === '') throw new InputError('The query is empty; ask something.')
    return Int32Array.from([...tokenizer.encode(lead + text), ...postfixIds])
  }
  return {
    format: name,
    sinkIds: ids(system + instruction),
    reasoningSinkIds: ids(system + reasoningInstruction),
    postfixIds,
    repeatWholeIds: ids(repeatWhole),
    repeatPartIds: ids(repeatPart),
    queryIds: (query) => ask('\n\n', query),
    nextQueryIds(query, ended) {
      const all = ask(nextTurn, query)
      // The closing token is the first; only special tokens have no text.
      return ended && tokenizer.decode(all.subarray(0, 1)) === '' ? all.subarray(1) : all
    },
  }
}

/** The family's format, else one that the tokenizer has the tokens of; a template before those if the family has none. */
function chatFormatOf(
  tokenizer: Tokenizer,
  preferred: ChatFormatName | undefined,
): Turns & { name: Prompts['format'] } {
  const known = Object.keys(chatFormats) as ChatFormatName[]
  const fits = (name: ChatFormatName): boolean => tokenizer.specialId(chatFormats[name].marker) !== undefined
  const format = [...(preferred ? [preferred] : []), ...known].find(fits)
  const { chatTemplate } = tokenizer
  if (chatTemplate && (!preferred || !format))
    return { name: 'template', ...turnsOf(chatTemplate, tokenizer.file) }
  if (format) return { name: format, ...chatFormats[format] }
  const markers = [...new Set(known.map((name) => chatFormats[name].marker))].join(', ')
  throw new InputError(
    `${tokenizer.file} knows none of the chat formats headzip can write: it has none of ${markers}, and no chat template`,
  )
}
