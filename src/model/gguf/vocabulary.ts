/** The tokens of a GGUF file's tokenizer by their text. */

import { InputError } from '../../errors.js'
import type { Metadata } from './metadata.js'

/** @throws InputError when two ids have the same text, which no tokenizer could tell apart */
export function vocabularyOf(metadata: Metadata, tokens: string[]): Record<string, number> {
  const ids = new Map<string, number>()
  for (const [id, token] of tokens.entries()) {
    if (ids.has(token))
      throw new InputError(`${metadata.file}: tokenizer.ggml.tokens has '${token.slice(0, 40)}' twice`)
    ids.set(token, id)
  }
  return Object.fromEntries(ids)
}
