/** What is evicted: from level, ratio and scores to masks. */

import type { NativeWindow } from '../engine/binding.js'
import { checkRatio, InputError, invalidParameter } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { type SelectionRule, selectHeads, selectPairs } from '../scores/select.js'

/**
 * - `head`: heads below the cut lose their whole context and keep system prefix, query and answer.
 * - `streaming`: they keep the first `sink` tokens and the `recent` latest, a window that slides on with every token
 *   (DuoAttention's meaning, from the same scores).
 * - `pair`: single entries go, the lowest of all heads and layers together.
 * - `pair-uniform`: the same number of entries goes from every head.
 */
export type Level = 'head' | 'streaming' | 'pair' | 'pair-uniform'
export const levels = ['head', 'streaming', 'pair', 'pair-uniform'] as const satisfies readonly Level[]

export const defaultSink = 128
export const defaultRecent = 256

export interface LevelOptions {
  level: Level
  /** Share kept, in (0, 1]: of the KV heads, or of the pairs. */
  ratio: number
  /** `exact` keeps round(n * ratio) and breaks ties; `published` follows KVzip's threshold. */
  rule?: SelectionRule | undefined
  /** Level `streaming`: first tokens that evicted heads keep; never fewer than the system prefix. Default 128. */
  sink?: number | undefined
  /** Level `streaming`: latest tokens that evicted heads see, the one at hand counted. Default 256. */
  recent?: number | undefined
}

/** Scores a context's pairs: (layers, kv_heads, context) of the scored layers. */
export interface PairScores {
  layers: number
  kvHeads: number
  positions: number
  /** (layers) index of each row's layer in the model: hybrid models score only some. */
  layerIds: Int32Array
  values: Float32Array
}

/** A mask over the scored layers: the others are never evicted. */
export type Eviction = {
  keep: Uint8Array
  /** 1 an evictable head or pair, over the scored layers. */
  kept: number
  total: number
  threshold: number
} & ({ of: 'heads'; window: NativeWindow | null } | { of: 'pairs' })

export function isPairLevel(level: Level): level is 'pair' | 'pair-uniform' {
  return level === 'pair' || level === 'pair-uniform'
}

/** @throws RangeError or TypeError that names the first option that is wrong */
export function checkLevel(options: LevelOptions): LevelOptions {
  if (!levels.includes(options.level)) throw invalidParameter('level', levels.join(', '), options.level)
  checkRatio(options.ratio)
  checkTokens('sink', options.sink ?? defaultSink, 0)
  checkTokens('recent', options.recent ?? defaultRecent, 1)
  return options
}

export function windowOf({
  level,
  sink = defaultSink,
  recent = defaultRecent,
}: LevelOptions): NativeWindow | null {
  return level === 'streaming' ? { sink, recent } : null
}

export function evictHeads(scores: HeadScores, options: LevelOptions): Eviction {
  const { keep, kept, threshold } = selectHeads(scores, selection(options))
  return { of: 'heads', keep, kept, total: keep.length, threshold, window: windowOf(options) }
}

export function evictPairs(scores: PairScores, options: LevelOptions): Eviction {
  const { keep, kept, threshold } = selectPairs(scores.values, scores, {
    ...selection(options),
    uniform: options.level === 'pair-uniform',
  })
  return { of: 'pairs', keep, kept, total: keep.length, threshold }
}

function selection({ ratio, rule }: LevelOptions): { ratio: number; rule?: SelectionRule } {
  return { ratio, ...(rule && { rule }) }
}

/**
 * What the engine needs to evict pair-uniformly layer by layer; it must choose as selectPairs does.
 * @param positions context tokens
 */
export function uniformRule(
  { ratio, rule = 'exact' }: LevelOptions,
  positions: number,
): { count: number; above: boolean } | null {
  if (ratio === 1) return null
  if (rule === 'published') return { count: Math.max(Math.floor(positions * ratio), 1), above: true }
  return { count: Math.round(positions * ratio), above: false }
}

function checkTokens(name: string, value: number, least: number): void {
  if (typeof value !== 'number') throw invalidParameter(name, 'a number of tokens', value, 'type')
  if (!Number.isSafeInteger(value) || value < least)
    throw invalidParameter(name, `a whole number of tokens, at least ${least}`, value)
}

export function missingHeadScores(level: Level): InputError {
  return new InputError(`level ${level} needs head scores: pass \`scores\` to prefill or to prune`)
}

export function missingPairScores(level: Level): InputError {
  return new InputError(
    `level ${level} needs this context's pair scores: prefill with level 'pair' or 'pair-uniform'`,
  )
}
