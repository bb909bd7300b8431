/**
 * How texts are split before byte pairs are merged. GGUF files only name the way (`tokenizer.ggml.pre`); the patterns
 * are those of the models' own tokenizer.json.
 */

import type { Metadata } from './metadata.js'

export interface PreTokenizer {
  normalizer: Record<string, unknown> | null
  split: Record<string, unknown>[]
  /** A piece that is a token as a whole is not taken apart first. */
  ignoreMerges: boolean
}

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
/** Splits by GPT-2's own pattern. */
const gpt2 = { ...byteLevel, use_regex: true }
/** Every numeral alone, as Rust's `Digits` does it; the library's own `Digits` knows 0 to 9 only. */
const digits = { type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false }
const pattern = (digitRun: string): Record<string, unknown> => ({
  type: 'Split',
  pattern: {
    Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digitRun}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  },
  behavior: 'Isolated',
  invert: false,
})

const byGpt2: PreTokenizer = { normalizer: null, split: [gpt2], ignoreMerges: false }
const byDigitsAndGpt2: PreTokenizer = { normalizer: null, split: [digits, gpt2], ignoreMerges: false }
const llama3: PreTokenizer = {
  normalizer: null,
  split: [pattern('\\p{N}{1,3}'), byteLevel],
  ignoreMerges: true,
}
const qwen2: PreTokenizer = {
  normalizer: { type: 'NFC' },
  split: [pattern('\\p{N}'), byteLevel],
  ignoreMerges: false,
}

const known: ReadonlyMap<string, PreTokenizer> = new Map([
  ['gpt-2', byGpt2],
  ['smollm', byDigitsAndGpt2],
  ['starcoder', byDigitsAndGpt2],
  ['refact', byDigitsAndGpt2],
  ['llama3', llama3],
  ['llama-v3', llama3],
  ['llama-bpe', llama3],
  ['qwen2', qwen2],
  ['deepseek-r1-qwen', qwen2],
])

/** @throws InputError listing the names we know: a wrong split would give other ids in silence */
export function preTokenizerOf(metadata: Metadata): PreTokenizer {
  const found = known.get(metadata.text('tokenizer.ggml.pre'))
  if (found) return found
  throw metadata.mustBe('tokenizer.ggml.pre', `one of ${[...known.keys()].join(', ')}`)
}
