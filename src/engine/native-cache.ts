/** A cache of the native engine. */

import type { NativeRopes, NativeWindow } from './native-params.js'

export interface NativeCacheInfo {
  allocatedBytes: number
  usedBytes: number
  layers: number
  scoredLayers: number
  prefix: number
  context: number
  position: number
  evicted: boolean
}

/**
 * Reading jobs may run at the same time on one cache; whatever changes it is refused while one runs, and the other way
 * round ("this cache is in use by a running job"). Masks are checked for their size.
 */
export interface NativeCache {
  info(): NativeCacheInfo
  /** (vocab) */
  lastLogits(): Float32Array
  /** (layers * 2) KV heads and head_dim of each layer */
  geometry(): Int32Array
  /** (KV heads of all layers, one layer after the other) entries of each head */
  lengths(): Int32Array
  /** (those heads * 2) sink and recent of streaming heads, 0 0 of the others */
  windows(): Int32Array
  clone(): NativeCache
  /** Evicts in place, once. @param mask (scored layers * kv_heads) */
  retainHeads(mask: Uint8Array, window: NativeWindow | null): void
  /** Evicts in place, once. @param mask (scored layers * kv_heads * context) */
  retainPairs(mask: Uint8Array): void
  /** The same into a cache of its own, from the prefill on; this one stays as it is. */
  selectHeads(mask: Uint8Array, window: NativeWindow | null): NativeCache
  selectPairs(mask: Uint8Array): NativeCache
  /** Forgets what stands at this position and after, within the last turn of the conversation. */
  rewind(position: number): void
  /** Keeps the cache from being changed or closed until the returned function is called. */
  hold(): () => void
  /** Keys, then values, (count, head_dim) each in the engine's own element type, then positions (count) int32 */
  read(layer: number, head: number, from: number, count: number): Uint8Array
  write(layer: number, head: number, from: number, count: number, data: Uint8Array): void
  /** As the engine's. */
  checkWeights(): void
  close(): void
}

/** All that a cache is but its entries; ropes as in a prefill of the same context. */
export type NativeCacheShape = NativeRopes & {
  prefix: number
  context: number
  position: number
  evicted: boolean
  lastLogits: Float32Array
  lengths: Int32Array
  windows: Int32Array
}
