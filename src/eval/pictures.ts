/** Results -> what the pictures show. */

import type { LinePanel, Point, Series } from '../report/line-panels.js'
import type { NeedleCell, NeedlePanel } from '../report/needle-map.js'
import { mean } from './metrics/mean.js'
import type { ResultRow, SampleResult } from './record.js'
import type { SummaryRow } from './summary.js'
import { seriesName } from './table.js'

/** Two panels a data set: against the ratio, and against the bytes of KV held. */
export function accuracyPanels(rows: readonly SummaryRow[]): LinePanel[] {
  const several = new Set(rows.map(({ model }) => model)).size > 1
  return [...new Set(rows.map(({ data }) => data))].flatMap((data) => {
    const here = rows.filter((row) => row.data === data)
    const yLabel = `${here[0]!.metric} in percent`
    const title = several ? data : `${data}, ${here[0]!.model}`
    return [
      {
        title,
        yLabel,
        xLabel: 'ratio: share of KV kept',
        x: [0, 1] as const,
        series: seriesOf(here, several, ({ ratio }) => ratio),
      },
      {
        title,
        yLabel,
        xLabel: 'KV held after the prefill, MiB a sample',
        series: seriesOf(here, several, ({ keptBytes }) => keptBytes / 2 ** 20),
      },
    ]
  })
}

function seriesOf(rows: readonly SummaryRow[], several: boolean, x: (row: SummaryRow) => number): Series[] {
  const nameOf = (row: SummaryRow): string => (several ? `${row.model}: ${seriesName(row)}` : seriesName(row))
  const evicting = rows.filter(({ level }) => level !== 'full')
  const shown = evicting.length > 0 ? evicting : rows
  return [...new Set(shown.map(nameOf))].map((name) => {
    const own = shown.filter((row) => nameOf(row) === name)
    // every curve ends at the full cache
    const full = rows.filter(({ level, model }) => level === 'full' && model === own[0]!.model)
    const points = [...new Set([...own, ...full])].map((row): Point => {
      const banded = own.some(({ draws }) => draws > 1)
      return { x: x(row), y: row.mean, ...(banded && { low: row.low, high: row.high }) }
    })
    return { name, points: points.sort((a, b) => a.x - b.x) }
  })
}

/** A row of panels a way of evicting, the full cache among them, a column a ratio; nothing without needle results. */
export function needlePanels(results: readonly SampleResult[]): NeedlePanel[] {
  const own = results.filter(({ needle }) => needle)
  const several = new Set(own.map(({ model }) => model)).size > 1
  const rows = own.flatMap((result) =>
    result.rows.map((row) => ({ ...row, position: result.needle!, model: result.model })),
  )
  type NeedleRow = (typeof rows)[number]
  const rowName = ({ model, level, scores }: NeedleRow): string => {
    const draws = new Set(rows.filter((each) => each.level === level).map(({ draw }) => draw)).size
    const name = seriesName({ level, scores, draws })
    return several ? `${model}: ${name}` : name
  }
  const panels = new Map<string, { row: string; column: string; ratio: number; own: NeedleRow[] }>()
  for (const row of rows) {
    const key = JSON.stringify([row.model, row.level, row.scores, row.ratio])
    const panel = panels.get(key) ?? {
      row: rowName(row),
      column: `ratio ${row.ratio}`,
      ratio: row.ratio,
      own: [],
    }
    panel.own.push(row)
    panels.set(key, panel)
  }
  const order = (level: ResultRow['level']): number => (level === 'full' ? 0 : 1)
  return [...panels.values()]
    .sort((a, b) => order(a.own[0]!.level) - order(b.own[0]!.level) || b.ratio - a.ratio)
    .map(({ row, column, own: rowsHere }) => ({ row, column, cells: cellsOf(rowsHere) }))
}

function cellsOf(
  rows: readonly (ResultRow & { position: { length: number; depth: number } })[],
): NeedleCell[] {
  const cells = new Map<string, { length: number; depth: number; scores: number[] }>()
  for (const { position, score } of rows) {
    const key = `${position.length} ${position.depth}`
    const cell = cells.get(key) ?? { ...position, scores: [] }
    cell.scores.push(score)
    cells.set(key, cell)
  }
  return [...cells.values()].map(({ length, depth, scores }) => ({ length, depth, score: mean(scores) }))
}
