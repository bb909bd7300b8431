/** What each call of the native engine takes. */

import type { PairMethod, Sweep } from './scoring.js'
import type { Rope } from './spec.js'

/** Ropes in place of the model's, with the positions they are made for; null or left out: the model's own. */
export type NativeRopes = { ropes?: null } | { ropes: Rope[]; maxPositions: number }

/** What is read: the system prefix, then the context. */
export type NativeText = NativeRopes & { prefix: Int32Array; context: Int32Array }

/** The context's repetition and what becomes of it. `Kind`: the sweeps that a call can make. */
export interface NativeScoring<Kind extends Sweep> {
  /** In a row; at least one. */
  chunks: { start: number; end: number; ids: Int32Array }[]
  sweep: Kind
  /** `kvzip+` runs on the CPU only. */
  method: PairMethod
}

/** Blocks of a part of a context: tokens before and after those given, which keep their positions. */
export interface NativeBlockPart extends NativeScoring<'block'> {
  before: number
  after: number
}

export type NativeScoreParams = NativeText &
  (NativeScoring<'full' | 'chunk'> | NativeBlockPart) & {
    /** Whether every pair's score is wanted. */
    pairs: boolean
  }

/** What a prefill does with a layer's KV before it goes on to the next one. */
export type NativeEviction =
  | { kind: 'none' }
  | {
      kind: 'heads'
      /** (scored layers * kv_heads); heads at 0 lose their context, or become streaming heads */
      keep: Uint8Array
      /** What streaming heads keep; left out: evicted heads keep nothing of the context */
      window?: NativeWindow
    }
  | (NativeScoring<Sweep> & {
      kind: 'scored'
      /** Every head keeps its best entries; left out: all are kept */
      uniform?: NativeUniformRule
    })

export type NativePrefillParams = NativeText & {
  eviction: NativeEviction
  /** Most rows of a pass; left out: the engine's choice */
  tileRows?: number
}

export interface NativeScoreChunksParams extends NativeScoring<'full' | 'chunk'> {
  /** That the cache was made of. */
  prefix: Int32Array
  context: Int32Array
}

/** A streaming head sees the first `sink` positions and the `recent` latest. */
export interface NativeWindow {
  sink: number
  recent: number
}

export interface NativeUniformRule {
  /** Entries of the context that every head keeps */
  count: number
  /** Only those above the count-th best */
  above: boolean
}

export type NativeMeansParams = NativeRopes & {
  text: Int32Array
  /** Most rows of a pass; 0: the engine's choice */
  tileRows: number
}

export interface NativeGenerateParams {
  query: Int32Array
  maxTokens: number
  /** Ids that end the answer */
  stop: Int32Array
  /** 0: greedy */
  temperature: number
  /** 0: all */
  topK: number
  topP: number
  /** From 0 to 2^53 - 1 */
  seed: number
}
