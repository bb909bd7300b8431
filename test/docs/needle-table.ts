/** README's table of needles, from the summaries that `headzip results` wrote. */

import { existsSync, readFileSync } from 'node:fs'
import type { SummaryRow } from '../../src/index.js'
import { pagePath } from './marked.js'

const ratios = [1, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1]

/** undefined while nobody has made it */
export function summaryOf(model: string): SummaryRow[] | undefined {
  const file = pagePath(`reports/${model}/accuracy.json`)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as SummaryRow[]) : undefined
}

/** @param models their names and summaries. @returns Markdown, a row a ratio */
export function needleTable(
  models: readonly (readonly [name: string, rows: readonly SummaryRow[]])[],
): string {
  const header = ['kept', ...models.flatMap(([name]) => [`${name}: heads by score`, 'pairs', 'random heads'])]
  const rows = ratios.map((ratio) => [
    ratio === 1 ? 'full cache' : String(ratio),
    ...models.flatMap(([, summary]) =>
      ['head', 'pair', 'random'].map((level) => cell(summary, level, ratio)),
    ),
  ])
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function cell(rows: readonly SummaryRow[], level: string, ratio: number): string {
  const found = rows.find(
    (row) =>
      row.data === 'needle' &&
      row.ratio === ratio &&
      (ratio === 1 ? row.level === 'full' : row.level === level && ['', 'merged'].includes(row.scores)),
  )
  if (!found) throw new Error(`no needles for ${level} at ratio ${ratio}`)
  const percent = (share: number): string => (100 * share).toFixed(1)
  if (found.draws > 1) return `${percent(found.mean)} (${percent(found.low)} to ${percent(found.high)})`
  const error = found.standardError === null ? '' : ` ± ${percent(found.standardError)}`
  return `${percent(found.mean)}${error}`
}
