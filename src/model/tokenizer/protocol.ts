/** What the process that owns a tokenizer is asked, and what it answers. */

import { join } from 'node:path'
import type { Turns } from '../chat-template.js'
import type { NewTexts, TextSoFar } from './new-text.js'

/** The folder of tokenizer.json, or a .gguf file. */
export type TokenizerSource = { folder: string } | { gguf: string }

/** As messages name it. */
export function fileOf(source: TokenizerSource): string {
  return 'gguf' in source ? source.gguf : join(source.folder, 'tokenizer.json')
}

export interface Calls {
  encode: { input: { text: string; special: boolean }; output: Int32Array }
  decode: { input: { ids: Int32Array; special: boolean }; output: string }
  newText: { input: { before: TextSoFar; ids: number[]; last: boolean }; output: NewTexts }
  /** One a token. */
  specialIds: { input: { tokens: string[] }; output: (number | undefined)[] }
  /** undefined: there is no chat template. */
  turns: { input: null; output: Turns | undefined }
}

export type CallName = keyof Calls

export type Request = {
  [K in CallName]: { id: number; name: K; input: Calls[K]['input'] }
}[CallName]

/** What is to be loaded comes first, and once. */
export type ToTokenizer = { load: TokenizerSource; seconds: number } | Request | { cancel: number }

export type FromTokenizer =
  /** `error` is one sentence; without it, `value` is the call's output. */
  | { id: number; value?: unknown; error?: string }
  /** It cannot be loaded: the process is on its way out. */
  | { failed: string }
  /** It works on what it was asked, or is ready for it. */
  | { alive: true }
