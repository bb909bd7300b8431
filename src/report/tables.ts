/** Numbers as pictures: the budget at several ratios, and where scores come from. */

import { check, checkList, checkOptions } from '../check.js'
import { type Budget, type BudgetOptions, budgetOf } from '../scores/budget.js'
import { checkScores } from '../scores/check.js'
import type { HeadScores } from '../scores/head-scores.js'
import { provenanceRows } from './panels.js'
import { drawLine, drawSvg, drawText, textWidth, wrapText } from './svg.js'

/** Ratios that a budget table tells unless others are asked for. */
export const tableRatios = [0.25, 0.4, 0.5, 0.6, 0.75, 0.9] as const

export const budgetHeader = [
  'asked',
  'heads kept',
  'ratio',
  'sparsity',
  'compression_ratio',
  'effective KV',
] as const

/** A row a ratio: the four words, and what was asked for. */
export function budgetRowsAt(
  scores: HeadScores,
  ratios: readonly number[],
  options: Omit<BudgetOptions, 'ratio'> = {},
): string[][] {
  return ratios.map((ratio) => budgetRow(budgetOf(scores, { ...options, ratio }).budget))
}

function budgetRow({ asked, kept, total, ratio, sparsity, compressionRatio, effectiveKv }: Budget): string[] {
  const fixed = (value: number | null): string => (value === null ? '-' : value.toFixed(4))
  return [
    String(asked),
    `${kept} of ${total}`,
    fixed(ratio),
    fixed(sparsity),
    fixed(compressionRatio),
    fixed(effectiveKv),
  ]
}

/** @returns a complete SVG document */
export function budgetTable(
  scores: HeadScores,
  options: Omit<BudgetOptions, 'ratio'> & { ratios?: readonly number[]; id?: string } = {},
): string {
  checkScores(scores)
  checkOptions(options, { id: 'text?' })
  const { ratios = tableRatios, id = 'budget', ...rest } = options
  checkList(ratios, 'ratios', 'ratio')
  const rows = budgetRowsAt(scores, ratios, rest)
  const { budget } = budgetOf(scores, { ...rest, ratio: 1 })
  const at = budget.tokens === null ? 'context length unknown' : `${budget.tokens} tokens`
  const title = `KV budget of ${scores.provenance.model}`
  const note = `${at}; a streaming head keeps ${budget.sink} sink and ${budget.recent} recent tokens`
  const widths = budgetHeader.map((name, column) =>
    Math.max(...[name, ...rows.map((row) => row[column]!)].map((text) => textWidth(text, 12))),
  )
  const lefts = widths.map((_, column) =>
    widths.slice(0, column).reduce((sum, width) => sum + width + 22, 24),
  )
  const width = Math.ceil(Math.max(lefts.at(-1)! + widths.at(-1)! + 24, 560))
  const description = rows.map((row) => `ratio ${row[0]}: ${row[1]} heads, effective KV ${row[5]}`).join('; ')
  return drawSvg({ width, height: 96 + rows.length * 24, id, title, description }, (svg) => {
    drawText(svg, 24, 28, title, { size: 14, bold: true })
    drawText(svg, 24, 46, note, { size: 11, tone: 'hz-faint' })
    const line = (cells: readonly string[], y: number, bold: boolean): void => {
      for (const [column, text] of cells.entries())
        drawText(svg, lefts[column]! + widths[column]!, y, text, { size: 12, anchor: 'end', bold })
    }
    line(budgetHeader, 74, true)
    for (const [i, row] of rows.entries()) {
      const y = 98 + i * 24
      drawLine(svg, [24, y - 16], [width - 24, y - 16], 'hz-rule')
      line(row, y, false)
    }
  })
}

/** @returns a complete SVG document: what is known of where scores come from */
export function provenanceBlock(scores: HeadScores, id = 'provenance'): string {
  checkScores(scores)
  check(id, 'id', 'text')
  const width = 720
  const rows = provenanceRows(scores).map(
    ([name, value]) => [name, wrapText(value === '' ? 'unknown' : value, 12, width - 170)] as const,
  )
  const lines = rows.reduce((sum, [, text]) => sum + text.length, 0)
  const title = `Where the scores of ${scores.provenance.model} come from`
  const description = rows.map(([name, text]) => `${name}: ${text.join(' ')}`).join('; ')
  return drawSvg({ width, height: 60 + lines * 18 + rows.length * 4, id, title, description }, (svg) => {
    drawText(svg, 24, 28, title, { size: 14, bold: true })
    let y = 56
    for (const [name, text] of rows) {
      drawText(svg, 24, y, name, { size: 12, tone: 'hz-faint' })
      for (const line of text) {
        drawText(svg, 146, y, line, { size: 12 })
        y += 18
      }
      y += 4
    }
  })
}
