/** What is evicted: from level, ratio and scores to masks. */

import { check } from '../check.js'
import type { NativeWindow } from '../engine/binding.js'
import { checkRatio, InputError, invalidParameter } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { checkRule, type SelectionRule, selectHeads, selectPairs } from '../scores/select.js'

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

/** What a context's pairs score. */
export interface PairScores {
  /** Scored layers: hybrid models evict their global layers only. */
  layers: number
  kvHeads: number
  /** Context tokens */
  positions: number
  /** (layers, kv_heads, positions) */
  values: Float32Array
}

export type Eviction = {
  /** (scored layers, kv_heads), for pairs (scored layers, kv_heads, context): 1 keeps */
  keep: Uint8Array
  kept: number
  total: number
  threshold: number
} & ({ of: 'heads'; window: NativeWindow | null } | { of: 'pairs' })

export function isPairLevel(level: Level): level is 'pair' | 'pair-uniform' {
  return level === 'pair' || level === 'pair-uniform'
}

/** @throws RangeError or TypeError that names the first option that is wrong */
export function checkLevel(options: LevelOptions): LevelOptions {
  check(options, 'options', 'object')
  if (!levels.includes(options.level)) throw invalidParameter('level', levels.join(', '), options.level)
  checkRatio(options.ratio)
  const { sink = defaultSink, recent = defaultRecent } = options
  checkTokens('sink', sink, 0)
  checkTokens('recent', recent, 1)
  checkRule(options.rule)
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
  const uniform = options.level === 'pair-uniform'
  const { keep, kept, threshold } = selectPairs(scores.values, scores, { ...selection(options), uniform })
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
