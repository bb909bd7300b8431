/** Every head's score from best to worst, and where the ratio cuts. */

import { InputError } from '../errors.js'
import { rankHeads, type SelectionRule, selectHeads } from '../scores/select.js'
import { drawAxes, layLegend, plot, stroke, tickText, width } from './chart.js'
import { d3 } from './d3.js'
import { mainPanel, type Panel, sameHeads } from './panels.js'
import { drawLine, drawSvg, drawText, round, type Shape } from './svg.js'

export interface CurveOptions {
  /** share of heads kept */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
  /** prefix of ids; default `curve` */
  id?: string
}

/** @returns a complete SVG document; the cut is that of the last panel, the merged scores */
export function scoreCurve(panels: readonly Panel[], options: CurveOptions): string {
  const last = mainPanel(panels)
  if (panels.length === 0) throw new InputError('nothing to draw: no scores were given')
  sameHeads(panels)
  const { ratio, rule = 'exact', id = 'curve' } = options
  const { kept } = selectHeads(last.scores, { ratio, rule })
  const heads = last.scores.max.length
  const values = panels.map(({ scores }) => Array.from(rankHeads(scores), (cell) => scores.max[cell]!))
  const highest = Math.max(1, ...values.map((sorted) => sorted[0] ?? 0))
  const lowest = Math.min(0, ...values.map((sorted) => sorted.at(-1) ?? 0))
  const x = d3().scaleLinear([0, heads], [plot.left, plot.left + plot.width])
  const y = d3().scaleLinear([lowest, highest], [plot.top + plot.height, plot.top])

  const legendTop = plot.top + plot.height + 62
  const legend = layLegend(panels.map(({ name }) => name))
  const height = legendTop + (legend.at(-1)?.row ?? 0) * 20 + 16
  const title = `Scores of ${heads} KV heads, best first`
  const description = `The ${kept} best of ${heads} heads are kept at ratio ${ratio} (rule ${rule}) of ${last.name}.`
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, 16, 24, title, { size: 14, bold: true })
    drawAxes(
      svg,
      { scale: x, ticks: x.ticks(8).filter(Number.isInteger), label: 'KV heads, best first', format: String },
      { scale: y, ticks: y.ticks(5), label: 'head score', format: (value) => tickText(value, highest) },
    )
    for (const [i, sorted] of values.entries()) {
      const points = sorted.map((value, rank): [number, number] => [round(x(rank + 0.5)), round(y(value))])
      stroke(svg.append('path').attr('d', d3().line()(points) ?? ''), i, panels[i] === last)
    }
    drawCut(svg, x(kept), `${kept} of ${heads} kept`)
    for (const [i, { name, left, row }] of legend.entries()) {
      const at = legendTop + row * 20
      stroke(svg.append('path').attr('d', `M${left},${at - 4}h30`), i, panels[i] === last)
      drawText(svg, left + 37, at, name, { size: 12 })
    }
  })
}

/** A page moves the group by its transform: `data-hz-left` and `data-hz-width` give the plot's extent. */
function drawCut(svg: Shape, at: number, label: string): void {
  const cut = svg
    .append('g')
    .attr('class', 'hz-cut')
    .attr('data-hz-left', plot.left)
    .attr('data-hz-width', plot.width)
    .attr('transform', `translate(${round(at)},0)`)
  drawLine(cut, [0, plot.top - 20], [0, plot.top + plot.height], 'hz-ink').attr('stroke-width', 1.5)
  const anchor = at > plot.left + plot.width / 2 ? 'end' : 'start'
  drawText(cut, anchor === 'end' ? -6 : 6, plot.top - 10, label, { size: 12, anchor })
}
