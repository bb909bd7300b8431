/** Every head's score from best to worst, and where the ratio cuts. */

import { D3Node } from 'd3-node'
import { InputError } from '../errors.js'
import { rankHeads, type SelectionRule, selectHeads } from '../scores/select.js'
import { type Panel, sameHeads } from './panels.js'
import { drawLine, drawSvg, drawText, round, type Shape, textWidth } from './svg.js'

export interface CurveOptions {
  /** share of heads kept */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
  /** prefix of ids; default `curve` */
  id?: string
}

/** Okabe and Ito's colours, told apart by colour-blind people; dashes tell the lines apart without colour. */
const strokes = [
  { colour: '#0072b2', dash: '7 3' },
  { colour: '#d55e00', dash: '2 3' },
  { colour: '#009e73', dash: '9 3 2 3' },
  { colour: '#cc79a7', dash: '4 4' },
  { colour: '#8a7500', dash: '12 4' },
] as const

const width = 720
const plot = { left: 64, top: 60, width: 632, height: 240 } as const
const { d3 } = new D3Node()

/** @returns a complete SVG document; the cut is that of the last panel, the merged scores */
export function scoreCurve(panels: readonly Panel[], options: CurveOptions): string {
  const last = panels.at(-1)
  if (!last) throw new InputError('nothing to draw: no scores were given')
  sameHeads(panels)
  const { ratio, rule = 'exact', id = 'curve' } = options
  const { kept } = selectHeads(last.scores, { ratio, rule })
  const heads = last.scores.max.length
  const values = panels.map(({ scores }) => Array.from(rankHeads(scores), (cell) => scores.max[cell]!))
  const highest = Math.max(1, ...values.map((sorted) => sorted[0] ?? 0))
  const lowest = Math.min(0, ...values.map((sorted) => sorted.at(-1) ?? 0))
  const x = d3.scaleLinear([0, heads], [plot.left, plot.left + plot.width])
  const y = d3.scaleLinear([lowest, highest], [plot.top + plot.height, plot.top])

  const legendTop = plot.top + plot.height + 62
  const legend = layLegend(panels.map(({ name }) => name))
  const height = legendTop + (legend.at(-1)?.row ?? 0) * 20 + 16
  const title = `Scores of ${heads} KV heads, best first`
  const description = `The ${kept} best of ${heads} heads are kept at ratio ${ratio} (rule ${rule}) of ${last.name}.`
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, 16, 24, title, { size: 14, bold: true })
    drawScales(svg, x, y, heads, highest)
    for (const [i, sorted] of values.entries()) {
      const points = sorted.map((value, rank): [number, number] => [round(x(rank + 0.5)), round(y(value))])
      stroke(svg.append('path').attr('d', d3.line()(points) ?? ''), i, panels.length)
    }
    drawCut(svg, x(kept), `${kept} of ${heads} kept`)
    for (const [i, { name, left, row }] of legend.entries()) {
      const at = legendTop + row * 20
      stroke(svg.append('path').attr('d', `M${left},${at - 4}h30`), i, panels.length)
      drawText(svg, left + 37, at, name, { size: 12 })
    }
  })
}

type Scale = ReturnType<typeof d3.scaleLinear>

function drawScales(svg: Shape, x: Scale, y: Scale, heads: number, highest: number): void {
  const bottom = plot.top + plot.height
  for (const value of y.ticks(5)) {
    drawLine(svg, [plot.left, y(value)], [plot.left + plot.width, y(value)], 'hz-rule').attr(
      'stroke-width',
      0.7,
    )
    const label = highest > 10 ? String(value) : value.toFixed(1)
    drawText(svg, plot.left - 8, y(value) + 4, label, { size: 11, tone: 'hz-faint', anchor: 'end' })
  }
  for (const rank of x.ticks(8).filter(Number.isInteger)) {
    drawLine(svg, [x(rank), bottom], [x(rank), bottom + 4], 'hz-faint')
    drawText(svg, x(rank), bottom + 17, String(rank), { size: 11, tone: 'hz-faint', anchor: 'middle' })
  }
  drawText(svg, x(heads / 2), bottom + 36, 'KV heads, best first', { size: 12, anchor: 'middle' })
  const middle = round(plot.top + plot.height / 2)
  drawText(svg, 0, 0, 'head score', { size: 12, anchor: 'middle' }).attr(
    'transform',
    `translate(22,${middle}) rotate(-90)`,
  )
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

/** Single sources are dashed and coloured; the last line, the merged scores where there are several, is solid. */
function stroke(path: Shape, index: number, of: number): void {
  const style = index === of - 1 ? null : strokes[index % strokes.length]!
  path.attr('fill', 'none').attr('stroke-width', style ? 1.8 : 2.2)
  if (style)
    path
      .attr('class', `hz-series-${index % strokes.length}`)
      .attr('stroke', style.colour)
      .attr('stroke-dasharray', style.dash)
  else path.attr('class', 'hz-ink-line').attr('stroke', '#1f2328')
}

function layLegend(names: string[]): { name: string; left: number; row: number }[] {
  let left: number = plot.left
  let row = 0
  return names.map((name) => {
    const shown = name.length > 60 ? `${name.slice(0, 59)}…` : name
    const taken = 37 + textWidth(shown, 12) + 24
    if (left > plot.left && left + taken > width) {
      left = plot.left
      row++
    }
    const place = { name: shown, left: round(left), row }
    left += taken
    return place
  })
}
