import { mergeParts, readGgufParts } from '../gguf/parts.js'
import { ggufTokenizerFields } from '../gguf/tokenizer.js'
import type { TokenizerFields } from './fields.js'

/** @throws InputError when the file holds no tokenizer, or one of a kind that headzip does not know */
export function ggufFields(file: string): TokenizerFields {
  return ggufTokenizerFields(mergeParts(readGgufParts(file)).metadata)
}
