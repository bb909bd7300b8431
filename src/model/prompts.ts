/** A model's fixed texts as token ids. Each piece is tokenised alone; they are joined as ids, never as text. */

import { InputError } from '../errors.js'
import {
  type ChatFormat,
  type ChatFormatName,
  chatFormats,
  instruction,
  reasoningInstruction,
  repeatPart,
  repeatWhole,
} from './chat-formats.js'
import type { Tokenizer } from './tokenizer.js'

export interface Prompts {
  format: ChatFormatName
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
}

/** @param preferred the family's own format, taken when the tokenizer knows its marker */
export function promptsFor(tokenizer: Tokenizer, preferred: ChatFormatName): Prompts {
  const name = chatFormatOf(tokenizer, preferred)
  const format: ChatFormat = chatFormats[name]
  const ids = (text: string): Int32Array => Int32Array.from(tokenizer.encode(text))
  const postfixIds = ids(format.postfix)
  return {
    format: name,
    sinkIds: ids(format.system + instruction),
    reasoningSinkIds: ids(format.system + reasoningInstruction),
    postfixIds,
    repeatWholeIds: ids(repeatWhole),
    repeatPartIds: ids(repeatPart),
    queryIds(query) {
      const text = query.trim()
      if (text === '') throw new InputError('The query is empty; ask something.')
      return Int32Array.from([...tokenizer.encode(`\n\n${text}`), ...postfixIds])
    },
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
