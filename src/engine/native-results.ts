/** What each call of the native engine gives. */

import type { NativeCache } from './native-cache.js'

/** What one kind of work took on the GPU; `spans` of it were timed. */
export interface KernelTime {
  kind: string
  seconds: number
  spans: number
}

/** What every sweep tells of itself. */
export interface NativeSweepCost {
  peakBytes: number
  /** Empty unless the engine was opened with `kernelTimes` */
  kernels: KernelTime[]
}

export interface NativeScores extends NativeSweepCost {
  /** (scored layers, kv_heads) each */
  max: Float32Array
  mean: Float32Array
  p99: Float32Array
  /** (scored layers, kv_heads, context); null unless wanted */
  pairs: Float32Array | null
}

export interface NativePrefill extends NativeSweepCost {
  cache: NativeCache
  /** (scored layers, kv_heads, context); null unless `eviction` is `scored` */
  pairs: Float32Array | null
}

export interface NativeChunkScores {
  /** (scored layers, kv_heads, positions of the chunks) */
  pairs: Float32Array
  peakBytes: number
}

/** Of the scored layers, after the norms over heads, before the rope. */
export interface NativeMeans {
  /** (scored layers, heads, head_dim) */
  queries: Float32Array
  /** (scored layers, kv_heads, head_dim) */
  keys: Float32Array
  peakBytes: number
}

export interface NativeGeneration {
  ids: Int32Array
  /** An id that ends answers came. */
  stopped: boolean
  firstLogits: Float32Array
  firstTokenSeconds: number
  decodeSeconds: number
}
