/** Summary rows as texts. */

import { checkOneOf } from '../check.js'
import { escapeLines, escapeText } from '../escape.js'
import { checkSummary } from './check.js'
import type { SummaryRow } from './summary.js'

export const tableFormats = ['markdown', 'csv', 'json'] as const
export type TableFormat = (typeof tableFormats)[number]

export function formatSummary(rows: readonly SummaryRow[], format: TableFormat): string {
  checkSummary(rows)
  checkOneOf(format, 'format', tableFormats)
  switch (format) {
    case 'markdown':
      return markdown(rows)
    case 'csv':
      return csv(rows)
    case 'json':
      return `${escapeLines(JSON.stringify(rows, null, 2))}\n`
  }
}

/** `head merged`, `random, 5 draws` */
export function seriesName({ level, scores, draws }: Pick<SummaryRow, 'level' | 'scores' | 'draws'>): string {
  if (level === 'full') return 'full cache'
  if (level === 'random') return draws > 1 ? `random heads, mean of ${draws} draws` : 'random heads'
  return scores === '' ? level : `${level}, ${scores}`
}

/** A table a model and data set: ratios downwards, ways of evicting side by side. */
function markdown(rows: readonly SummaryRow[]): string {
  return [...new Set(rows.map(({ model, data }) => JSON.stringify([model, data])))]
    .map((key) => section(rows.filter(({ model, data }) => JSON.stringify([model, data]) === key)))
    .join('\n')
}

function section(rows: readonly SummaryRow[]): string {
  const { model, data, metric } = rows[0]!
  const series = [...new Set(rows.filter(({ level }) => level !== 'full').map(seriesName))]
  const full = rows.find(({ level }) => level === 'full')
  const ratios = [...new Set(rows.map(({ ratio }) => ratio))].sort((a, b) => b - a)
  const lines = ratios.map((ratio) => [
    String(ratio),
    ...series.map((name) => {
      const row = ratio === 1 ? full : rows.find((each) => each.ratio === ratio && seriesName(each) === name)
      return row ? cell(row) : ''
    }),
  ])
  const { samples, questions } = full ?? rows[0]!
  return [
    `### ${escapeText(data)}, ${escapeText(model)}`,
    '',
    `Metric ${escapeText(metric)} in percent, ± standard error over samples, relative to the full cache, share of the KV bytes held (effective KV; compression_ratio is 1 - that, sparsity 1 - ratio where heads are evicted); ${samples} samples, ${questions} questions.`,
    '',
    ...pipeTable(
      ['ratio', ...(series.length > 0 ? series : ['full cache'])],
      series.length > 0 ? lines : [['1', full ? cell(full) : '']],
    ),
    '',
  ].join('\n')
}

function cell({ mean, standardError, relative, effectiveKv, draws, low, high, level }: SummaryRow): string {
  const band = draws > 1 ? ` [${percent(low)}, ${percent(high)}]` : ''
  const error = standardError === null ? '' : ` ± ${percent(standardError)}`
  const share = relative === null || level === 'full' ? '' : ` (${relative.toFixed(2)}x)`
  return `${percent(mean)}${error}${band}${share} · ${Math.round(100 * effectiveKv)}% KV`
}

function pipeTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((each) => escapeText(each).replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)]
}

const columns = [
  'model',
  'data',
  'metric',
  'level',
  'scores',
  'ratio',
  'samples',
  'questions',
  'mean',
  'standardError',
  'relative',
  'low',
  'high',
  'draws',
  'effectiveKv',
  'keptBytes',
] as const satisfies readonly (keyof SummaryRow)[]

/** RFC 4180 with \n; numbers with all their digits. */
function csv(rows: readonly SummaryRow[]): string {
  const quoted = (value: string | number | null): string => {
    const text = String(value ?? '')
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return [columns.map(snake), ...rows.map((row) => columns.map((name) => quoted(row[name])))]
    .map((cells) => `${cells.join(',')}\n`)
    .join('')
}

function percent(share: number): string {
  return (100 * share).toFixed(1)
}
