/** The library's way from a text to ids, in steps between which others may work. The ids are the library's. */

import type { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'
import { mergePiece } from './long-piece.js'

/** What is used of the library's inside; its version is pinned. */
interface Inside {
  pre_tokenizer: PreTokenizer | null
  model: HubModel
  /** Added tokens, and what stands between them. */
  encode_text(text: string | null): (string | Between)[]
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] }
}

interface PreTokenizer {
  /** Takes texts apart, one by one; `options` tell where in the whole text they stand. */
  pre_tokenize(texts: string | string[], options: object): string[]
  /** Of a sequence of them. */
  tokenizers?: (PreTokenizer | null)[]
}

interface HubModel {
  /** Encodes, then joins neighbours that are unknown, where the model asks for that. */
  _call(pieces: string[]): string[]
  encode(pieces: string[]): string[]
  /** Of byte pairs only. */
  bpe_ranks?: ReadonlyMap<string, number>
  cache?: { put(piece: string, tokens: string[]): void; cache: Map<string, string[]> }
  end_of_word_suffix?: string
  continuing_subword_suffix?: string | null
}

interface Between {
  text: string
  options: object
}

/** Characters and pieces between two steps; pieces longer than `longPiece` are merged in steps of their own. */
const stepSize = 4096
const batchSize = 1024
const longPiece = 1024

/** @param special add what the tokenizer puts around a text by itself */
export function* encodeSteps(hub: HubTokenizer, text: string, special: boolean): Generator<void, Int32Array> {
  const inside = hub as unknown as Inside
  // What would take texts apart only keeps what it is given.
  const split = Object.create(inside, {
    pre_tokenizer: { value: (text: string, options: object): Between[] => [{ text, options }] },
    model: { value: (parts: Between[]): Between[] => parts },
  }) as Inside
  const parts = split.encode_text(text)
  yield
  const tokens: string[] = []
  for (const part of parts) {
    if (typeof part === 'string') tokens.push(part)
    else {
      const pieces = yield* preTokenize(inside.pre_tokenizer, part)
      for (const token of yield* encodePieces(inside.model, pieces)) tokens.push(token)
    }
  }
  // What follows has nothing left to take apart.
  const rest = Object.create(inside, {
    encode_text: { value: (given: string | null) => (given === null ? null : tokens) },
  }) as Inside
  return Int32Array.from(rest.encode(text, { add_special_tokens: special }).ids)
}

/** The first pattern is run over the whole text, the others over batches of what it finds. */
function* preTokenize(
  preTokenizer: PreTokenizer | null,
  { text, options }: Between,
): Generator<void, string[]> {
  const [first, ...later] = (preTokenizer?.tokenizers ?? [preTokenizer]).filter((each) => each !== null)
  const pieces = first ? first.pre_tokenize(text, options) : [text]
  yield
  if (later.length === 0) return pieces
  const done: string[] = []
  for (let at = 0; at < pieces.length; at += batchSize) {
    const batch = later.reduce(
      (texts, each) => each.pre_tokenize(texts, options),
      pieces.slice(at, at + batchSize),
    )
    for (const piece of batch) done.push(piece)
    yield
  }
  return done
}

function* encodePieces(model: HubModel, pieces: readonly string[]): Generator<void, string[]> {
  const tokens: string[] = []
  const take = (batch: string[]): void => {
    for (const token of model.encode(batch)) tokens.push(token)
  }
  for (let at = 0; at < pieces.length; ) {
    const piece = pieces[at]!
    if (isLong(model, piece)) {
      const merged = yield* mergePiece(piece, model.bpe_ranks!)
      // The library looks here before it merges.
      model.cache!.put(piece, merged)
      take([piece])
      model.cache!.cache.delete(piece)
      at++
    } else {
      const from = at
      for (let size = 0; size < stepSize && at < pieces.length && !isLong(model, pieces[at]!); at++)
        size += pieces[at]!.length
      take(pieces.slice(from, at))
    }
    yield
  }
  return model._call.call(Object.create(model, { encode: { value: () => tokens } }), [])
}

function isLong(model: HubModel, piece: string): boolean {
  if (piece.length <= longPiece || !model.bpe_ranks || !model.cache) return false
  return !model.end_of_word_suffix && !model.continuing_subword_suffix
}
