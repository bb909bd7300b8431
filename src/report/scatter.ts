/** Two sets of scores against each other, a mark a head: how far they agree, and about which heads they do not. */

import { checkOptions } from '../check.js'
import { compareScores } from '../scores/compare.js'
import { type SelectionRule, selectHeads } from '../scores/select.js'
import { drawAxes, plot, tickText, width } from './chart.js'
import { d3 } from './d3.js'
import { cut, headLabel } from './grid.js'
import { checkPanel, type Panel, pictureFields } from './panels.js'
import { drawLine, drawSvg, drawText, round, type Shape } from './svg.js'

export interface ScatterOptions {
  /** share of heads kept: marks tell who keeps a head */
  ratio: number
  rule?: SelectionRule
  /** prefix of ids; default `scatter` */
  id?: string
}

const plotHeight = 420

/** Shape and colour of a mark by who keeps the head: both, a, b, neither. */
export const markKinds = [
  { name: 'kept by both', colour: '#0072b2', path: 'M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0', open: false },
  { name: 'by a only', colour: '#d55e00', path: 'M0,-5L5,4H-5Z', open: false },
  { name: 'by b only', colour: '#009e73', path: 'M-4,-4H4V4H-4Z', open: false },
  { name: 'by neither', colour: '#59636e', path: 'M-3,-3L3,3M-3,3L3,-3', open: true },
] as const

/** @returns a complete SVG document. @throws InputError unless both score the same heads */
export function agreementScatter(a: Panel, b: Panel, options: ScatterOptions): string {
  checkPanel(a, 'a')
  checkPanel(b, 'b')
  checkOptions(options, pictureFields)
  const { ratio, rule = 'exact', id = 'scatter' } = options
  const { spearman, kendall, changes } = compareScores(a.scores, b.scores, { ratio, rule })
  const [inA, inB] = [a, b].map(({ scores }) => selectHeads(scores, { ratio, rule }).keep) as [
    Uint8Array,
    Uint8Array,
  ]
  const range = (values: Float32Array): [number, number] => [
    values.reduce((least, value) => Math.min(least, value), 0),
    values.reduce((most, value) => Math.max(most, value), 1),
  ]
  const [rangeA, rangeB] = [range(a.scores.max), range(b.scores.max)]
  const x = d3().scaleLinear(rangeA, [plot.left, plot.left + plot.width])
  const y = d3().scaleLinear(rangeB, [plot.top + plotHeight, plot.top])
  const heads = a.scores.max.length
  const title = `Head scores of ${a.name} and ${b.name}`
  const description =
    `${heads} heads. Spearman ${spearman.toFixed(3)}, Kendall ${kendall.toFixed(3)}; ${changes.length} heads are kept ` +
    `by one and evicted by the other at ratio ${ratio} (rule ${rule}).`
  const height = plot.top + plotHeight + 78
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, 16, 24, cut(title, 14, width - 32), { size: 14, bold: true })
    const words = `Spearman ${spearman.toFixed(3)}, Kendall ${kendall.toFixed(3)}, ${changes.length} of ${heads} change sides at ratio ${ratio}`
    drawText(svg, 16, 43, words, { size: 12, tone: 'hz-faint' }).attr('data-hz-sides', '')
    drawAxes(
      svg,
      {
        scale: x,
        ticks: x.ticks(8),
        label: cut(`a: ${a.name}`, 12, plot.width),
        format: (value) => tickText(value, rangeA[1]),
      },
      {
        scale: y,
        ticks: y.ticks(6),
        label: cut(`b: ${b.name}`, 12, plotHeight),
        format: (value) => tickText(value, rangeB[1]),
      },
      plotHeight,
    )
    const low = Math.max(rangeA[0], rangeB[0])
    const high = Math.min(rangeA[1], rangeB[1])
    drawLine(svg, [x(low), y(low)], [x(high), y(high)], 'hz-rule').attr('stroke-dasharray', '4 4')
    for (const [cell, score] of a.scores.max.entries()) {
      const other = b.scores.max[cell]!
      const kind = inA[cell] ? (inB[cell] ? 0 : 1) : inB[cell] ? 2 : 3
      const dot = drawMark(svg, x(score), y(other), kind).attr('data-hz-dot', cell)
      const head = headLabel(cell, a.scores.layerIds, a.scores.kvHeads)
      dot
        .append('title')
        .text(`${head}: ${score.toFixed(4)} and ${other.toFixed(4)}, ${markKinds[kind]!.name}`)
    }
    for (const [kind, { name }] of markKinds.entries()) {
      const left = plot.left + kind * 150
      drawMark(svg, left + 6, height - 20, kind)
      drawText(svg, left + 18, height - 16, name, { size: 12 })
    }
  })
}

function drawMark(parent: Shape, x: number, y: number, kind: number): Shape {
  const { colour, path, open } = markKinds[kind]!
  return parent
    .append('path')
    .attr('d', path)
    .attr('class', `hz-kind-${kind}`)
    .attr('transform', `translate(${round(x)},${round(y)})`)
    .attr('fill', open ? 'none' : colour)
    .attr('fill-opacity', 0.75)
    .attr('stroke', colour)
    .attr('stroke-width', open ? 1.2 : 0.8)
}
