/** What the engine must know of a model: plain data, filled by src/model from a Hugging Face folder, checked again by native code. */

import { check, checkEach, checkFields } from '../check.js'

/** How numbers lie in files; FP8 needs scales, those after it are GGUF's blocks of quantised numbers. */
export type StoredType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'Q8_0'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'

/** Where a tensor lies. `offset` counts bytes from the start of the file. */
export interface TensorLocation {
  /** Its name in the file, for messages. */
  name: string
  file: string
  dtype: StoredType
  /** Outermost first, as PyTorch prints it: a linear layer is [out, in]. */
  shape: number[]
  offset: number
  bytes: number
}

/** What an FP8 tensor is multiplied by: one scale for every block of its rows and columns. */
export interface Scales extends TensorLocation {
  dtype: 'F32' | 'F16' | 'BF16'
  /** Blocks of rows, blocks of columns. */
  shape: [number, number]
  blockRows: number
  blockCols: number
  /** The weight's first row within the tensor that is scaled. */
  row: number
}

/** One weight of a model. */
export interface WeightRef extends TensorLocation {
  /**
   * What the tensor is to the engine: `embed`, `final_norm`, `lm_head`, and `layers.<n>.` before attn_norm, q, k, v, o,
   * q_bias, k_bias, v_bias, o_bias, q_norm, k_norm, attn_out_norm, mlp_norm, mlp_out_norm, gate, up, down, gate_bias,
   * up_bias, down_bias; in an MoE layer router, shared_router, `experts.<n>.` or `shared.` before gate, up, down.
   */
  role: string
  /** Of FP8 only. */
  scales?: Scales
}

export interface Rope {
  /** Inverse frequencies, at most head_dim / 2, rounded to fp32 the way transformers rounds them. */
  invFreq: Float32Array
  /** Factor on cos and sin (yarn's attention factor); 1 otherwise. */
  scale: number
  /** Pairs are neighbours (0, 1), (2, 3), … instead of first and second half, as GGUF files of Llama's layout need. */
  adjacent?: boolean
}

/** Attention of one layer. */
export interface AttentionSpec {
  heads: number
  kvHeads: number
  headDim: number
  /** A query sees its own position and `window` - 1 before it; 0: all. */
  window: number
  /** Index into `ropes`. */
  rope: number
  /** Factor on logits, usually 1/sqrt(head_dim). */
  scale: number
  /** Queries and keys are normalised head by head. */
  headNorms: boolean
}

/** A gated MLP. */
export interface DenseSpec {
  intermediateSize: number
}

/** A mixture of experts (MoE), each a gated MLP. */
export interface MoeSpec {
  experts: number
  perToken: number
  intermediateSize: number
  /** Of an expert that every token passes through; 0: there is none. */
  sharedIntermediateSize: number
  /** The chosen experts' weights are made to sum to 1. */
  normalise: boolean
}

export interface LayerSpec {
  attention: AttentionSpec
  mlp: DenseSpec | MoeSpec
  /** Hybrid models score and evict their global layers only. */
  scored: boolean
}

/** Sizes of a model. */
export interface ModelSpec {
  hiddenSize: number
  vocabSize: number
  normEps: number
  /** Added to the weight of every norm. */
  normOffset: number
  /** Factor on embeddings. */
  embedScale: number
  /** Logits become cap * tanh(logits / cap); 0: they stay. */
  logitCap: number
  activation: 'silu' | 'gelu_tanh'
  /** What attention and the MLP add to the residual stream is normalised first. */
  outNorms: boolean
  ropes: Rope[]
  layers: LayerSpec[]
}

export interface EngineSpec extends ModelSpec {
  /** Positions that `ropes` are made for; the engine refuses more. */
  maxPositions: number
}

export function isMoe(mlp: DenseSpec | MoeSpec): mlp is MoeSpec {
  return 'experts' in mlp
}

/** Indices of the layers that are scored and evicted: a row of scores each. */
export function scoredLayers(spec: Pick<ModelSpec, 'layers'>): Int32Array {
  check(spec, 'spec', 'object')
  checkEach(spec.layers, 'spec.layers', (layer, name) => checkFields(layer, name, { scored: 'flag' }))
  const { layers } = spec
  return Int32Array.from(layers.flatMap(({ scored }, layer) => (scored ? [layer] : [])))
}

/**
 * Attention of the layers that are scored, which all have the same heads: a table of scores is as wide in every row.
 * @throws Error for a spec whose scored layers differ
 */
export function scoredAttention({ layers }: ModelSpec): AttentionSpec {
  const scored = layers.filter((layer) => layer.scored).map(({ attention }) => attention)
  const [first] = scored
  if (!first) throw new Error('at least one layer must be scored')
  if (scored.some(({ kvHeads, headDim }) => kvHeads !== first.kvHeads || headDim !== first.headDim))
    throw new Error('the layers that are scored must have the same KV heads')
  return first
}
