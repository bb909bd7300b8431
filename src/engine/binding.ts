/** The one door to the native addon: loads it and gives it types. Nothing else requires a .node file. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { InputError } from '../errors.js'
import { addonPaths, buildCommand, packageRoot } from './addon-paths.js'
import type { NativeCache, NativeCacheShape } from './native-cache.js'
import type {
  NativeGenerateParams,
  NativeMeansParams,
  NativePrefillParams,
  NativeScoreChunksParams,
  NativeScoreParams,
} from './native-params.js'
import type {
  NativeChunkScores,
  NativeGeneration,
  NativeMeans,
  NativePrefill,
  NativeScores,
} from './native-results.js'
import type { EngineSpec, WeightRef } from './spec.js'

export type * from './native-cache.js'
export type * from './native-params.js'
export type * from './native-results.js'

/** A running native job. */
export interface NativeJob<T> {
  promise: Promise<T>
  /** Work done and in all, in units of time; total is 0 until the plan stands. */
  progress(): [done: number, total: number]
  abort(): void
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
