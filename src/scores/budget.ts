/** The four words that the field uses for a KV budget, always given together. */

import { check, checkFields, checkOneOf } from '../check.js'
import { invalidParameter } from '../errors.js'
import { checkScores } from './check.js'
import type { HeadScores } from './head-scores.js'
import { type Selection, type SelectionRule, selectHeads } from './select.js'

export interface BudgetInput {
  /** what is evicted or kept whole: KV heads (default), or single pairs of all heads */
  unit?: 'head' | 'pair'
  /** units that keep their context KV, of `total`; the other heads are made streaming */
  kept: number
  total: number
  /** what was asked for; the share really kept may differ by rounding or by the published rule */
  ratio: number
  /** tokens at the start that every head keeps: a streaming head's sink, or the system prefix */
  sink: number
  /** latest tokens that every head keeps; 0 for KVzip's own eviction */
  recent: number
  /** tokens in the cache, the system prefix included; null when unknown */
  tokens: number | null
}

export interface Budget {
  unit: 'head' | 'pair'
  kept: number
  total: number
  /** asked for */
  asked: number
  /** share of units that keep their context KV */
  ratio: number
  /** share of heads made streaming: 1 - ratio; 0 where single pairs are evicted */
  sparsity: number
  /** share of the cache's bytes removed: 1 - effectiveKv; null when tokens are unknown */
  compressionRatio: number | null
  /** bytes really kept over bytes of the full cache, sink and recent tokens of streaming heads counted */
  effectiveKv: number | null
  sink: number
  recent: number
  tokens: number | null
}

/**
 * Every scored head has the same head_dim and type, so that tokens kept stand for bytes kept. Pairs evicted one by one
 * leave the prefix as heads do: the share of bytes is the same sum for both.
 */
export function budget(input: BudgetInput): Budget {
  checkFields(input, 'input', { kept: 'count', total: 'count', ratio: 'number' })
  if (input.unit !== undefined) checkOneOf(input.unit, 'unit', ['head', 'pair'])
  const { unit = 'head', kept, total, ratio, sink, recent, tokens } = input
  for (const [name, value] of [
    ['sink', sink],
    ['recent', recent],
    ['tokens', tokens === null ? 1 : tokens],
  ] as const)
    if (!Number.isSafeInteger(value) || value < (name === 'tokens' ? 1 : 0))
      throw invalidParameter(name, 'a whole number of tokens', value)
  const share = total > 0 ? kept / total : 0
  const streaming = tokens === null ? null : Math.min(tokens, sink + recent) / tokens
  const effectiveKv = streaming === null ? null : share + (1 - share) * streaming
  return {
    unit,
    kept,
    total,
    asked: ratio,
    ratio: share,
    sparsity: unit === 'head' ? 1 - share : 0,
    compressionRatio: effectiveKv === null ? null : 1 - effectiveKv,
    effectiveKv,
    sink,
    recent,
    tokens,
  }
}

export interface BudgetOptions {
  /** share of heads kept, (0, 1] */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
  /** tokens at the start, and latest tokens, that a streaming head keeps; default 128 and 256 */
  sink?: number
  recent?: number
  /** tokens in the cache; default the longest source's, unknown for imported files */
  tokens?: number | null
}

/**
 * The one way from scores to a budget: which heads are kept, and what that makes of the KV cache. Of hybrid models
 * the scored heads alone are counted: sliding layers hold their window whatever is decided here.
 * @throws RangeError for a ratio outside (0, 1], or windows that are no whole numbers of tokens
 */
export function budgetOf(
  scores: HeadScores,
  options: BudgetOptions,
): { selection: Selection; budget: Budget } {
  checkScores(scores)
  check(options, 'options', 'object')
  const { ratio, rule = 'exact', sink = 128, recent = 256 } = options
  const selection = selectHeads(scores, { ratio, rule })
  const tokens = options.tokens === undefined ? longestSource(scores) : options.tokens
  const { keep, kept } = selection
  return { selection, budget: budget({ kept, total: keep.length, ratio, sink, recent, tokens }) }
}

/** Context tokens of the longest source; null when none is known. */
export function longestSource({ provenance }: HeadScores): number | null {
  const longest = Math.max(...provenance.sources.map((source) => source.tokens))
  return longest > 0 ? longest : null
}

/** word, value with four decimals, meaning: for a terminal, a page, anything that prints a budget */
export function budgetRows(of: Budget): [word: string, value: string, meaning: string][] {
  const at = of.tokens === null ? 'the context length is not known' : `at ${of.tokens} tokens`
  const counted = `${of.kept} of ${of.total}, asked ${of.asked}`
  const [kept, streaming, windows] =
    of.unit === 'head'
      ? [
          `share of KV heads that keep their context: ${counted}`,
          `share of KV heads made streaming: ${of.total - of.kept} of ${of.total}`,
          `${of.sink} sink and ${of.recent} recent tokens a streaming head`,
        ]
      : [
          `share of the context's pairs kept: ${counted}`,
          'share of KV heads made streaming: none, pairs are evicted one by one',
          `${of.sink} prefix tokens in every head`,
        ]
  return [
    ['ratio', fixed(of.ratio), kept],
    ['sparsity', fixed(of.sparsity), streaming],
    ['compression_ratio', fixed(of.compressionRatio), `share of the cache removed, ${at}`],
    ['effective KV', fixed(of.effectiveKv), `share of the cache's bytes kept, ${windows}`],
  ]
}

export function formatBudget(of: Budget): string {
  checkFields(of, 'budget', {
    unit: 'string',
    kept: 'count',
    total: 'count',
    asked: 'number',
    ratio: 'number',
    sparsity: 'number',
    compressionRatio: 'number|null',
    effectiveKv: 'number|null',
    sink: 'count',
    recent: 'count',
    tokens: 'count|null',
  })
  const rows = budgetRows(of)
  const width = Math.max(...rows.map(([word]) => word.length))
  return rows.map(([word, value, meaning]) => `${word.padEnd(width)}  ${value}  ${meaning}`).join('\n')
}

function fixed(value: number | null): string {
  return value === null ? '     -' : value.toFixed(4)
}
