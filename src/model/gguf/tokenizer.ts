/** The tokenizer that a GGUF file carries in its metadata, said in the words of tokenizer.json. */

import type { TokenizerFields } from '../tokenizer/fields.js'
import type { Metadata } from './metadata.js'
import { preTokenizerOf } from './pre-tokenizers.js'
import { sentencePieceModel } from './sentencepiece.js'
import { vocabularyOf } from './vocabulary.js'

/** `tokenizer.ggml.token_type` of tokens that stand for themselves wherever their text appears. */
const unknown = 2
const control = 3
const userDefined = 4

/** @throws InputError when the file holds no tokenizer, or one of a kind that headzip does not know */
export function ggufTokenizerFields(metadata: Metadata): TokenizerFields {
  const kind = metadata.text('tokenizer.ggml.model')
  const tokens = metadata.texts('tokenizer.ggml.tokens')
  const types = metadata.has('tokenizer.ggml.token_type') ? metadata.numbers('tokenizer.ggml.token_type') : []
  if (kind !== 'gpt2' && kind !== 'llama') throw metadata.mustBe('tokenizer.ggml.model', 'gpt2 or llama')
  const fields = kind === 'gpt2' ? byteLevelFields(metadata, tokens) : sentencePieceModel(metadata, tokens)
  const added = tokens.flatMap((content, id) => {
    const type = types[id]
    if (type !== unknown && type !== control && type !== userDefined) return []
    const special = type !== userDefined
    return [{ id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false }]
  })
  return {
    file: metadata.file,
    fields: { ...fields, added_tokens: added, post_processor: startOf(metadata, tokens) },
    config: chatFields(metadata, tokens),
    templateFile: metadata.file,
  }
}

/**
 * What puts the token that begins a text in front of one. Files that do not say whether there is one are read as
 * llama.cpp reads them: pieces have one, byte-level pairs have none but Llama 3's.
 */
function startOf(metadata: Metadata, tokens: string[]): object | null {
  const kind = metadata.text('tokenizer.ggml.model')
  const usual = kind === 'llama' || metadata.text('tokenizer.ggml.pre', '') === 'llama-bpe'
  const id = 'tokenizer.ggml.bos_token_id'
  const bos = metadata.has(id) ? tokens[metadata.number(id)] : undefined
  if (bos === undefined || !metadata.flag('tokenizer.ggml.add_bos_token', usual)) return null
  const single = [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }]
  return { type: 'TemplateProcessing', single, pair: [] }
}

/** The chat template and the tokens it may write out, as tokenizer_config.json has them. */
function chatFields(metadata: Metadata, tokens: string[]): Record<string, string> {
  const template = 'tokenizer.chat_template'
  const named = ['bos', 'eos'].flatMap((kind): [string, string][] => {
    const key = `tokenizer.ggml.${kind}_token_id`
    const token = metadata.has(key) ? tokens[metadata.number(key)] : undefined
    return token === undefined ? [] : [[`${kind}_token`, token]]
  })
  return {
    ...Object.fromEntries(named),
    ...(metadata.has(template) && { chat_template: metadata.text(template) }),
  }
}

/** Byte-level pairs as GPT-2 has them. Texts are split first, by patterns that the metadata only name. */
function byteLevelFields(metadata: Metadata, tokens: string[]): Record<string, unknown> {
  const { normalizer, split, ignoreMerges } = preTokenizerOf(metadata)
  return {
    normalizer,
    pre_tokenizer: { type: 'Sequence', pretokenizers: split },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      vocab: vocabularyOf(metadata, tokens),
      merges: metadata.texts('tokenizer.ggml.merges'),
      ignore_merges: ignoreMerges,
      unk_token: null,
      byte_fallback: false,
      fuse_unk: false,
    },
  }
}
