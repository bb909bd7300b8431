import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeTinyChat } from '../inference/tiny-chat.js'

/** What of tokenizer.json the faults change. */
export interface TokenizerJson {
  added_tokens: object[]
  normalizer: object | null
  pre_tokenizer: object | null
  post_processor: object | null
  decoder: object | null
  model: Record<string, unknown>
}

/** Never matches a run of one letter, and tries all 2^60 ways to part it first. */
export const catastrophe = { Regex: '(?:a+)+b' }
export const victim = 'a'.repeat(60)

/** A tiny model with nano's tokenizer, but for what `edit` does. @returns its folder */
export function hostileTokenizer(edit: (fields: TokenizerJson) => void): string {
  const folder = writeTinyChat()
  const file = join(folder, 'tokenizer.json')
  const fields = JSON.parse(readFileSync(file, 'utf8')) as TokenizerJson
  edit(fields)
  writeFileSync(file, JSON.stringify(fields))
  return folder
}

/** One that knows no chat format but its own. @returns its folder */
export function hostileTemplate(source: string): string {
  const folder = writeTinyChat()
  const file = join(folder, 'tokenizer.json')
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('<|im_start|>', '<|other|>'))
  writeFileSync(join(folder, 'chat_template.jinja'), source)
  return folder
}
