/** Head scores: one number a (layer, KV head), with what is needed to break ties and to know where they came from. */

import type { PairMethod, Sweep } from '../engine/scoring.js'

export type { PairMethod, Sweep }

/** How heads are scored: by the maximum over their pairs, or by DuoAttention's on-the-fly estimate, a baseline. */
export type ScoreMethod = PairMethod | 'duo-estimate'
export const scoreMethods = ['kvzip', 'kvzip+', 'duo-estimate'] as const satisfies readonly ScoreMethod[]

export interface Provenance {
  /** `nano`, `Qwen/Qwen2.5-7B-Instruct-1M`, or a folder's name */
  model: string
  /** sha256 over config.json and the weights' index or header, hex; empty when unknown (imported files) */
  modelHash: string
  /** `sample_qa_eng-0`; a merged file names all of its sources here */
  sources: Source[]
  /** a ScoreMethod, or the foreign method an import came from */
  method: string
  /** '' when unknown (imported files) */
  sweep: Sweep | ''
  chunkSize: number
  /** `cpu` or `cuda`, and arithmetic: `cpu/fp32` */
  arithmetic: string
  engineVersion: string
  /** ISO 8601 */
  created: string
  /** How rotary angles were changed for the context's length, `yarn 4 over 32768`; absent when they were not. */
  rope?: string
  /** Layers of the model, scored or not; absent when unknown. */
  modelLayers?: number
}

export interface Source {
  data: string
  /** index of the sample in its data set */
  index: number
  /** context tokens scored */
  tokens: number
  /** Sweep `block`: only the tokens [start, end) of the context's `of` were, by one of several processes. */
  part?: { start: number; end: number; of: number }
}

export interface HeadScores {
  /** Scored layers, one row each. */
  layers: number
  kvHeads: number
  /** (layers) index of each row's layer in the model: hybrid models score only some. */
  layerIds: Int32Array
  /** (layers, kv_heads) maximum of the pair scores over context positions: the head score. */
  max: Float32Array
  /** (layers, kv_heads) mean over positions; null in imported files */
  mean: Float32Array | null
  /** (layers, kv_heads) 99th percentile over positions; null in imported files */
  p99: Float32Array | null
  /** Context positions summarised, over all sources. */
  positions: number
  /** (layers, kv_heads, positions), only when asked for, only for a single source */
  pairs: Float32Array | null
  provenance: Provenance
}
