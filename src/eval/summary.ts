/** Result files -> one row a model, data set, way of evicting and ratio. */

import { check, checkOneOf } from '../check.js'
import { armKey } from './arms.js'
import { checkResults } from './check.js'
import { publishedSampleScore, sampleScore } from './judge.js'
import { mean } from './metrics/mean.js'
import type { EmptyRule } from './metrics/repoqa.js'
import type { ResultRow, SampleResult } from './record.js'

export interface SummaryRow {
  model: string
  data: string
  metric: string
  /** `full`, `head`, `pair` … */
  level: string
  /** Label of the head scores; '' where none chose. */
  scores: string
  /** Share of KV kept. */
  ratio: number
  samples: number
  questions: number
  /** Over samples, 0..1; over the draws first where heads were drawn. */
  mean: number
  /** Of the mean, over samples; null for a single sample. */
  standardError: number | null
  /** Mean over that of the full cache on the same samples; null where the full cache scores 0. */
  relative: number | null
  /** Worst and best draw; both are the mean where there is one. */
  low: number
  high: number
  draws: number
  /** Bytes of KV held over those of the full cache, all samples together. */
  effectiveKv: number
  /** Bytes of KV held, a sample. */
  keptBytes: number
}

export interface SummaryOptions {
  /** `published` leaves empty predictions out where the original does. */
  empty?: EmptyRule | undefined
}

/** Rows sorted by model, data set, level, scores and ratio; the full cache first. */
export async function summarize(
  results: readonly SampleResult[],
  options: SummaryOptions = {},
): Promise<SummaryRow[]> {
  checkResults(results)
  check(options, 'options', 'object')
  if (options.empty !== undefined) checkOneOf(options.empty, 'empty', ['zero', 'published'])
  const scored = await scoredArms(results, options.empty ?? 'zero')
  const rows: SummaryRow[] = []
  for (const group of grouped(scored, ({ result: { model, data } }) => JSON.stringify([model, data]))) {
    const full = group.filter(({ level }) => level === 'full')
    for (const arm of grouped(group, ({ level, scores, ratio }) => JSON.stringify([level, scores, ratio])))
      rows.push(rowOf(arm, full))
  }
  return rows.sort(
    (a, b) =>
      byText(a.model, b.model) ||
      byText(a.data, b.data) ||
      Number(b.level === 'full') - Number(a.level === 'full') ||
      byText(a.level, b.level) ||
      byText(a.scores, b.scores) ||
      a.ratio - b.ratio,
  )
}

/** One sample under one arm. */
interface Scored extends Pick<ResultRow, 'level' | 'scores' | 'ratio' | 'draw' | 'keptBytes' | 'fullBytes'> {
  result: SampleResult
  score: number
  questions: number
}

async function scoredArms(results: readonly SampleResult[], empty: EmptyRule): Promise<Scored[]> {
  const scored: Scored[] = []
  for (const result of results)
    for (const rows of grouped(result.rows, armKey)) {
      const asked = rows.toSorted((a, b) => a.question - b.question)
      const { metric } = result.settings
      const score =
        empty === 'published'
          ? await publishedSampleScore(
              metric,
              result.references,
              asked.map((row) => row.prediction),
            )
          : sampleScore(
              metric,
              result.references,
              asked.map((row) => row.score),
            )
      scored.push({ ...rows[0]!, result, score, questions: rows.length })
    }
  return scored
}

function rowOf(arm: Scored[], full: readonly Scored[]): SummaryRow {
  const { result, level, scores, ratio } = arm[0]!
  const samples = grouped(arm, ({ result: { index } }) => String(index))
  const perSample = samples.map((draws) => mean(draws.map(({ score }) => score)))
  const perDraw = grouped(arm, ({ draw }) => String(draw)).map((drawn) =>
    mean(drawn.map(({ score }) => score)),
  )
  const here = new Set(arm.map(({ result: { index } }) => index))
  const fullHere = full.filter(({ result: { index } }) => here.has(index)).map(({ score }) => score)
  const fullMean = fullHere.length > 0 ? mean(fullHere) : 0
  const average = mean(perSample)
  const sum = (of: (each: Scored) => number): number => arm.reduce((total, each) => total + of(each), 0)
  return {
    model: result.model,
    data: result.data,
    metric: result.settings.metric,
    level,
    scores,
    ratio,
    samples: samples.length,
    questions: samples.reduce((total, draws) => total + draws[0]!.questions, 0),
    mean: average,
    standardError: standardError(perSample),
    relative: fullMean > 0 ? average / fullMean : null,
    low: Math.min(...perDraw),
    high: Math.max(...perDraw),
    draws: perDraw.length,
    effectiveKv: sum(({ keptBytes }) => keptBytes) / sum(({ fullBytes }) => fullBytes),
    keptBytes: sum(({ keptBytes }) => keptBytes) / arm.length,
  }
}

function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null
  const centre = mean(values)
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1)
  return Math.sqrt(variance / values.length)
}

/** In the order of first sight. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return [...groups.values()]
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
