/** The one door to the native addon: loads it and gives it types. Nothing else requires a .node file. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { InputError } from '../errors.js'
import type { Sweep } from '../scores/head-scores.js'
import type { EngineSpec, WeightRef } from './spec.js'

/** A running native job. */
export interface NativeJob<T> {
  promise: Promise<T>
  /** Work done and in all, in units of time; total is 0 until the plan stands. */
  progress(): [done: number, total: number]
  abort(): void
}

export interface NativeSweepJob {
  sink: Int32Array
  context: Int32Array
  /** Empty: prefill only. */
  chunks: { start: number; end: number; ids: Int32Array }[]
  sweep: Sweep
  pairs: boolean
  cache: boolean
  /** (layers * kv_heads); heads at 0 lose their context KV layer by layer */
  keepHeads: Uint8Array | null
}

export interface NativeSweepResult {
  /** (layers, kv_heads) each; empty without chunks */
  max: Float32Array
  mean: Float32Array
  p99: Float32Array
  /** (layers, kv_heads, context) */
  pairs: Float32Array | null
  peakBytes: number
  cache: NativeCache | null
}

export interface NativeCacheInfo {
  allocatedBytes: number
  usedBytes: number
  layers: number
  kvHeads: number
  sink: number
  context: number
  position: number
  evicted: boolean
}

export interface NativeCache {
  info(): NativeCacheInfo
  /** (vocab) */
  lastLogits(): Float32Array
  clone(): NativeCache
  /** @param mask (layers * kv_heads) */
  retainHeads(mask: Uint8Array): void
  /** @param mask (layers * kv_heads * context) */
  retainPairs(mask: Uint8Array): void
  close(): void
}

export interface NativeGenerateJob {
  query: Int32Array
  maxTokens: number
  stop: Int32Array
  updateCache: boolean
}

export interface NativeGeneration {
  ids: Int32Array
  firstLogits: Float32Array
  firstTokenSeconds: number
  decodeSeconds: number
}

export interface NativeEngine {
  sweep(job: NativeSweepJob): NativeJob<NativeSweepResult>
  generate(
    cache: NativeCache,
    job: NativeGenerateJob,
  ): NativeJob<NativeGeneration> & { takeTokens(): Int32Array }
  close(): void
}

export interface NativeEngineOptions {
  device: 'cpu' | 'cuda'
  /** 0: all cores */
  threads: number
  /** Bytes that all of the engine may hold on the GPU; 0: what is free */
  gpuMemory: number
  /** Seed of random weights in place of the files', for benchmarks on a GPU; 0: the files' */
  randomWeights: number
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
  Engine: new (options: NativeEngineOptions) => NativeEngine
  devices(): NativeDevices
  bench(): Promise<{ name: string; seconds: number; flops: number }[]>
}

/** Where the addon is looked for: HEADZIP_ADDON, then the package's build folder. */
export function addonPaths(): string[] {
  const built = fileURLToPath(new URL('../../build/Release/headzip.node', import.meta.url))
  return [process.env.HEADZIP_ADDON, built].filter((path) => path !== undefined && path !== '') as string[]
}

let loaded: Addon | undefined

/** @throws InputError that says what was tried and which command builds the addon */
export function loadAddon(): Addon {
  if (loaded) return loaded
  const tried: string[] = []
  for (const path of addonPaths()) {
    if (!existsSync(path)) {
      tried.push(`${path} is not there`)
      continue
    }
    try {
      loaded = createRequire(import.meta.url)(path) as Addon
      return loaded
    } catch (error) {
      tried.push(`${path} does not load: ${(error as Error).message}`)
    }
  }
  throw new InputError(
    `the native engine cannot be loaded (${tried.join('; ')}); build it with: npm run build`,
  )
}
