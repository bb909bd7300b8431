/** Where two sets of scores differ: layers x KV heads on a scale from one's colour over neutral to the other's. */

import { checkOptions } from '../check.js'
import { InputError } from '../errors.js'
import { type SelectionRule, selectHeads } from '../scores/select.js'
import { d3 } from './d3.js'
import { cut, drawAxes, drawCell, drawCross, gridOf, headLabel, room } from './grid.js'
import { checkPanel, type Panel, pictureFields, sameHeads } from './panels.js'
import { drawLine, drawSvg, drawText, round, type Shape, textWidth } from './svg.js'

export interface DifferenceOptions {
  /** share of heads kept: heads on different sides at it are crossed */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
  /** prefix of ids; default `difference` */
  id?: string
  /** draw every head's cross, hidden where both agree, for a page that moves the ratio */
  interactive?: boolean
}

const margin = 24
const narrowest = 620

/** @returns a complete SVG document: a - b, orange where b scores higher, purple where a does */
export function differenceMap(a: Panel, b: Panel, options: DifferenceOptions): string {
  checkPanel(a, 'a')
  checkPanel(b, 'b')
  checkOptions(options, { ...pictureFields, interactive: 'flag?' })
  sameHeads([a, b])
  if (a.scores.max.length === 0) throw new InputError('nothing to draw: no heads were scored')
  const { ratio, rule = 'exact', id = 'difference' } = options
  const [inA, inB] = [a, b].map(({ scores }) => selectHeads(scores, { ratio, rule }).keep) as [
    Uint8Array,
    Uint8Array,
  ]
  const differences = a.scores.max.map((score, cell) => score - b.scores.max[cell]!)
  const reach = Math.max(
    differences.reduce((most, each) => Math.max(most, Math.abs(each)), 0),
    0.01,
  )
  const changed = inA.reduce((sum, flag, cell) => sum + (flag === inB[cell] ? 0 : 1), 0)
  const grid = gridOf(a.scores)
  const inner = Math.max(room.left + grid.width, narrowest)
  const height = margin * 2 + 70 + room.top + grid.height + room.bottom
  const name = `a: ${a.name}, b: ${b.name}`
  const title = `Difference of head scores: ${name}`
  const description =
    `${changed} of ${differences.length} heads, crossed, are kept by one and evicted by the other at ratio ${ratio} ` +
    `(rule ${rule}). The largest difference is ${reach.toFixed(4)}.`
  return drawSvg({ width: inner + 2 * margin, height, id, title, description }, (svg) => {
    const legend = svg.append('g').attr('transform', `translate(${margin},${margin})`)
    drawScale(legend, reach, id)
    const crossed = `other side at ratio ${ratio}`
    const swatch = colourOf(0.2)
    const at = inner - textWidth(crossed, 12) - 26
    legend
      .append('rect')
      .attr('x', round(at))
      .attr('y', 15)
      .attr('width', 18)
      .attr('height', 18)
      .attr('fill', swatch)
    drawCross(legend, at, 15, 18, swatch)
    drawText(legend, at + 26, 28, crossed, { size: 12 }).attr('data-hz-asked', rule)
    const group = svg.append('g').attr('transform', `translate(${margin},${margin + 70})`)
    drawText(group, room.left, 14, cut(name, 13, Math.max(grid.width, 480)), { size: 13, bold: true })
    drawText(group, room.left, 31, `${changed} of ${differences.length} change sides`, {
      size: 12,
      tone: 'hz-faint',
    }).attr('data-hz-sides', '')
    const cells = group.append('g').attr('transform', `translate(${room.left},${room.top})`)
    for (const [cell, difference] of differences.entries()) {
      const colour = colourOf(difference / reach)
      const { group: one, x, y, size } = drawCell(cells, cell, a.scores.kvHeads, grid, colour)
      const other = inA[cell] !== inB[cell]
      if (other || options.interactive) {
        const mark = drawCross(one, x, y, size, colour)
        if (!other) mark.attr('visibility', 'hidden')
      }
      const side = other ? `, kept in ${inA[cell] ? a.name : b.name} only` : ''
      const values = `${a.scores.max[cell]!.toFixed(4)} and ${b.scores.max[cell]!.toFixed(4)}`
      one.append('title').text(`${headLabel(cell, a.scores.layerIds, a.scores.kvHeads)}: ${values}${side}`)
    }
    drawAxes(group, a.scores.layerIds, a.scores.kvHeads, grid)
  })
}

/** -1..1 -> orange over near-white to purple: told apart by colour-blind people, and in grey by distance from white */
function colourOf(at: number): string {
  return d3().interpolatePuOr(0.5 - Math.min(Math.max(at, -1), 1) / 2)
}

function drawScale(group: Shape, reach: number, id: string): void {
  const [width, height] = [260, 14]
  const gradient = group.append('defs').append('linearGradient').attr('id', `${id}-scale`)
  for (let i = 0; i <= 10; i++)
    gradient
      .append('stop')
      .attr('offset', `${i * 10}%`)
      .attr('stop-color', colourOf(i / 5 - 1))
  drawText(group, 0, 10, 'b scores higher', { size: 12 })
  drawText(group, width, 10, 'a scores higher', { size: 12, anchor: 'end' })
  group
    .append('rect')
    .attr('y', 17)
    .attr('width', width)
    .attr('height', height)
    .attr('fill', `url(#${id}-scale)`)
  for (const part of [0, 0.5, 1]) {
    const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle'
    drawLine(group, [part * width, 31], [part * width, 34], 'hz-faint')
    drawText(group, part * width, 45, ((2 * part - 1) * reach).toFixed(2), {
      size: 11,
      tone: 'hz-faint',
      anchor,
    })
  }
}
