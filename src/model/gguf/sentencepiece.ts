/** SentencePiece vocabularies (Llama 2, Mistral, Gemma) in GGUF files: pieces with scores, and no list of merges. */

import type { Metadata } from './metadata.js'
import { vocabularyOf } from './vocabulary.js'

const blank = '\u2581'

export function sentencePieceModel(metadata: Metadata, tokens: string[]): Record<string, unknown> {
  const prefix = metadata.flag('tokenizer.ggml.add_space_prefix', true)
  const vocab = vocabularyOf(metadata, tokens)
  const unknown = tokens[metadata.number('tokenizer.ggml.unknown_token_id', 0)] ?? '<unk>'
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: blank }
  const restore = { type: 'Replace', pattern: { String: blank }, content: ' ' }
  return {
    normalizer: prefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: blank }, replace] }
      : replace,
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        restore,
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      vocab,
      merges: mergesFrom(tokens, metadata.numbers('tokenizer.ggml.scores'), new Map(Object.entries(vocab))),
      unk_token: unknown,
      byte_fallback: true,
      fuse_unk: true,
      ignore_merges: false,
    },
  }
}

/**
 * Pairs that make a piece, best piece first: what SentencePiece merges next is what has the highest score, whichever
 * way it comes about.
 */
function mergesFrom(
  tokens: string[],
  scores: number[],
  ids: ReadonlyMap<string, number>,
): [string, string][] {
  const order = tokens.map((_, id) => id).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
  return order.flatMap((id) => {
    const token = tokens[id]!
    const pairs: [string, string][] = []
    for (let at = 1; at < token.length; at++) {
      const left = token.slice(0, at)
      const right = token.slice(at)
      if (ids.has(left) && ids.has(right)) pairs.push([left, right])
    }
    return pairs.sort((a, b) => ids.get(a[0])! - ids.get(b[0])! || ids.get(a[1])! - ids.get(b[1])!)
  })
}
