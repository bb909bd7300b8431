/** What the engine must know of a model: plain data, filled by src/model from a Hugging Face folder, checked again by native code. */

export type StoredType = 'F32' | 'F16' | 'BF16'

/** One stored tensor. `offset` counts bytes from the start of the file. */
export interface WeightRef {
  /** What the tensor is to the engine: `embed`, `final_norm`, `lm_head`, `layers.<n>.<LayerRole>`. */
  role: string
  /** Its name in the file, for messages. */
  name: string
  file: string
  dtype: StoredType
  /** Outermost first, as PyTorch prints it: a linear layer is [out, in]. */
  shape: number[]
  offset: number
  bytes: number
}

export const layerRoles = [
  'attn_norm',
  'q',
  'k',
  'v',
  'o',
  'q_bias',
  'k_bias',
  'v_bias',
  'o_bias',
  'mlp_norm',
  'gate',
  'up',
  'down',
  'gate_bias',
  'up_bias',
  'down_bias',
] as const
export type LayerRole = (typeof layerRoles)[number]

export interface Rope {
  /** (head_dim / 2) inverse frequencies, rounded to fp32 the way transformers rounds them. */
  invFreq: Float32Array
  /** Factor on cos and sin (yarn's attention factor); 1 otherwise. */
  scale: number
}

export interface EngineSpec {
  layers: number
  hiddenSize: number
  heads: number
  kvHeads: number
  headDim: number
  intermediateSize: number
  vocabSize: number
  /** Positions the model was made for; the engine refuses more. */
  maxPositions: number
  normEps: number
  /** Factor on attention logits, usually 1/sqrt(head_dim). */
  attentionScale: number
  rope: Rope
}
