/** A model's fixed texts as token ids. Each piece is tokenised alone; they are joined as ids, never as text. */

import { InputError } from '../errors.js'
import {
  type ChatFormat,
  type ChatFormatName,
  chatFormats,
  instruction,
  repeatPart,
  repeatWhole,
} from './chat-formats.js'
import type { Tokenizer } from './tokenizer.js'

export interface Prompts {
  format: ChatFormatName
  /** System prefix: the sink, never evicted. */
  sinkIds: Int32Array
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

/** @param preferred the family's own format, taken when the tokenizer knows its marker */
export function promptsFor(tokenizer: Tokenizer, preferred: ChatFormatName): Prompts {
  const name = chatFormatOf(tokenizer, preferred)
  const format: ChatFormat = chatFormats[name]
  const ids = (text: string): Int32Array => Int32Array.from(tokenizer.encode(text))
  const postfixIds = ids(format.postfix)
  const ask = (lead: string, query: string): Int32Array => {
    const text = query.trim()
    if (text === '') throw new InputError('The query is empty; ask something.')
    return Int32Array.from([...tokenizer.encode(lead + text), ...postfixIds])
  }
  return {
    format: name,
    sinkIds: ids(format.system + instruction),
    postfixIds,
    repeatWholeIds: ids(repeatWhole),
    repeatPartIds: ids(repeatPart),
    queryIds: (query) => ask('\n\n', query),
    // The closing token is the first of them.
    nextQueryIds: (query, ended) => ask(format.nextTurn, query).subarray(ended ? 1 : 0),
  }
}

function chatFormatOf(tokenizer: Tokenizer, preferred: ChatFormatName): ChatFormatName {
  const known = Object.keys(chatFormats) as ChatFormatName[]
  const found = [preferred, ...known].find(
    (name) => tokenizer.specialId(chatFormats[name].marker) !== undefined,
  )
  if (found) return found
  const markers = known.map((name) => chatFormats[name].marker).join(', ')
  throw new InputError(
    `${tokenizer.file} knows none of the chat formats headzip can write: it has none of ${markers}`,
  )
}
