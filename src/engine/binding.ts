/** The one door to the native addon: loads it and gives it types. Nothing else requires a .node file. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { InputError } from '../errors.js'
import { addonPaths, buildCommand, packageRoot } from './addon-paths.js'
import type { PairMethod, Sweep } from './scoring.js'
import type { EngineSpec, Rope, WeightRef } from './spec.js'

/** A running native job. */
export interface NativeJob<T> {
  promise: Promise<T>
  /** Work done and in all, in units of time; total is 0 until the plan stands. */
  progress(): [done: number, total: number]
  abort(): void
}

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

export type NativeMeansParams = NativeRopes & {
  text: Int32Array
  /** Most rows of a pass; 0: the engine's choice */
  tileRows: number
}

/** Of the scored layers, after the norms over heads, before the rope. */
export interface NativeMeans {
  /** (scored layers, heads, head_dim) */
  queries: Float32Array
  /** (scored layers, kv_heads, head_dim) */
  keys: Float32Array
  peakBytes: number
}

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

export interface NativeGeneration {
  ids: Int32Array
  /** An id that ends answers came. */
  stopped: boolean
  firstLogits: Float32Array
  firstTokenSeconds: number
  decodeSeconds: number
}

/** `index` is that of a query. */
export interface NativeGenerateHandle extends NativeJob<NativeGeneration[]> {
  /** Tokens since the last call. */
  takeTokens(index: number): Int32Array
  /** Ends this answer with the token at hand; the others go on. */
  finish(index: number): void
}

export interface NativeEngine {
  /** Scores of a context's repetition, with one layer of KV alive. */
  score(params: NativeScoreParams): NativeJob<NativeScores>
  /** A cache of a context, evicted layer by layer where that is asked for. */
  prefill(params: NativePrefillParams): NativeJob<NativePrefill>
  /** Scores chunks that lie in a row against a full cache of the same system prefix and context, which stays as it is. */
  scoreChunks(cache: NativeCache, params: NativeScoreChunksParams): NativeJob<NativeChunkScores>
  /** Mean query and mean key of every head over a text, from one prefill of it. */
  means(params: NativeMeansParams): NativeJob<NativeMeans>
  /**
   * @param update one query only: it and its answer stay in the cache
   * @param rewindable with update: `rewind` may then cut the answer short
   */
  generate(
    cache: NativeCache,
    queries: NativeGenerateParams[],
    update: boolean,
    rewindable: boolean,
  ): NativeGenerateHandle
  /** Natural logarithms of each answer token's probability. */
  logProbs(cache: NativeCache, query: Int32Array, answer: Int32Array): NativeJob<Float32Array>
  /** A cache with these lengths, all zero, to be written. */
  restore(shape: NativeCacheShape): NativeCache
  describe(): NativeDescription
  /** Bytes of keys and values of so many tokens with nothing evicted: sliding layers hold what may still be seen. */
  kvBytes(tokens: number): number
  memory(): NativeMemory
  /** Bytes a second that a large copy on the device reads and writes; 0 on the CPU. */
  copyRate(): NativeJob<number>
  /** @throws Error (HEADZIP_ENGINE) where a weight file is not as it was when the model was loaded */
  checkWeights(): void
  close(): void
}

/** What an engine computes on, and in. */
export interface NativeDescription {
  device: 'cpu' | 'cuda'
  /** Type of activations, keys and values. */
  element: 'fp32' | 'bf16'
  /** Of one number of that type. */
  elementBytes: number
}

export interface NativeMemory {
  /** Held by the engine now; on the CPU weights are mapped and not counted. */
  allocatedBytes: number
  /** In use on the GPU by everybody; 0 on the CPU. */
  deviceBytes: number
}

export interface NativeEngineOptions {
  device: 'cpu' | 'cuda'
  /** 0: all cores */
  threads: number
  /** Bytes that all of the engine may hold on the GPU; 0: what is free */
  gpuMemory: number
  /** Seed of random weights in place of the files', for benchmarks on a GPU; 0: the files' */
  randomWeights: number
  /** Whether results tell where the GPU's time went; costs a little of it */
  kernelTimes: boolean
  spec: EngineSpec
  files: string[]
  weights: (Omit<WeightRef, 'file'> & { file: number })[]
}

export interface NativeDevices {
  /** Instruction set the CPU kernels run with. */
  isa: string
  threads: number
  cuda: {
    /** Why CUDA cannot be used; empty when it can. */
    reason: string
    /** Of the GPU. */
    name: string
    /** 90: compute capability 9.0 */
    compute: number
    /** Bytes in all. */
    memory: number
    /** The cuBLASLt library that was opened. */
    cublaslt: string
  }
}

export interface Addon {
  /** @internal use loadModel */
  Engine: new (
    options: NativeEngineOptions,
  ) => NativeEngine
  devices(): NativeDevices
  bench(): Promise<{ name: string; seconds: number; flops: number }[]>
  /** Takes the exclusive flock(2) of an open file without waiting; closing it gives the lock back. */
  tryLock(fd: number): boolean
}

export interface LoadedAddon {
  addon: Addon
  /** Where it came from. */
  path: string
}

let loaded: LoadedAddon | undefined

/** @throws InputError that says what was tried and which command brings the addon */
export function loadAddon(): Addon {
  return findAddon().addon
}

/** The addon and its path. @throws InputError as `loadAddon` does */
export function findAddon(): LoadedAddon {
  if (loaded) return loaded
  const tried: string[] = []
  for (const path of addonPaths(packageRoot, process.env.HEADZIP_ADDON)) {
    if (!existsSync(path)) {
      tried.push(`${path} is not there`)
      continue
    }
    try {
      loaded = { addon: createRequire(import.meta.url)(path) as Addon, path }
      return loaded
    } catch (error) {
      tried.push(`${path} does not load: ${(error as Error).message}`)
    }
  }
  throw new InputError(
    `the native engine cannot be loaded (${tried.join('; ')}); build it with: ${buildCommand(packageRoot)}`,
  )
}
