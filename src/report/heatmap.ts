/** Layers x KV heads, a panel a data set and the merged scores, on one colour scale, evicted heads crossed out. */

import { checkOptions } from '../check.js'
import { InputError } from '../errors.js'
import { type Selection, type SelectionRule, selectHeads } from '../scores/select.js'
import { d3 } from './d3.js'
import { cut, drawAxes, drawCell, drawCross, type Grid, gridOf, headLabel, room, widest } from './grid.js'
import { checkPanels, mainPanel, type Panel, pictureFields, provenanceLine, sameHeads } from './panels.js'
import { drawLine, drawSvg, drawText, plain, type Shape, wrapText } from './svg.js'

export interface HeatmapOptions {
  /** share of heads kept: each panel crosses out what its own scores would evict */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
  /** default: the model's name */
  title?: string
  /** prefix of ids when several pictures share a page; default `heatmap` */
  id?: string
  /** draw the title over the picture, default true; a page has its own heading */
  heading?: boolean
  /** draw every head's cross, hidden where the head is kept, for a page that moves the ratio */
  interactive?: boolean
}

const margin = 24
const gap = 28
const narrowest = 620

/** @returns a complete SVG document; the same scores and options give the same text */
export function heatmap(panels: readonly Panel[], options: HeatmapOptions): string {
  checkPanels(panels)
  checkOptions(options, { ...pictureFields, heading: 'flag?', interactive: 'flag?' })
  const first = panels[0]
  if (!first) throw new InputError('nothing to draw: no scores were given')
  sameHeads(panels)
  const {
    ratio,
    rule = 'exact',
    title = `KV head scores of ${first.scores.provenance.model}`,
    id = 'heatmap',
  } = options
  const selections = panels.map(({ scores }) => selectHeads(scores, { ratio, rule }))
  const highest = panels.reduce((most, { scores }) => scores.max.reduce((a, b) => Math.max(a, b), most), 1)
  const { layers, kvHeads } = first.scores

  const grid = gridOf({ layers, kvHeads })
  const panelWidth = room.left + grid.width
  const panelHeight = room.top + grid.height + room.bottom
  const columns = Math.min(panels.length, Math.max(1, Math.floor((widest + gap) / (panelWidth + gap))))
  const inner = Math.max(columns * (panelWidth + gap) - gap, narrowest)

  const titleLines = options.heading === false ? [] : wrapText(title, 18, inner)
  const source = mainPanel(panels).scores
  const footLines = wrapText(provenanceLine(source), 11, inner)
  const legendTop = margin + titleLines.length * 24 + 8
  const panelsTop = legendTop + 66
  const rows = Math.ceil(panels.length / columns)
  const footTop = panelsTop + rows * (panelHeight + 12) + 8
  const height = footTop + footLines.length * 15 + margin - 8

  const counts = panels.map(({ name }, i) => `${name}: ${keptText(selections[i]!)}`).join('; ')
  const description =
    `${panels.length} heatmaps of ${layers} layers by ${kvHeads} KV heads. Lighter is a higher score, 0 to ` +
    `${scoreText(highest)}. A cross marks a head evicted at ratio ${ratio} (rule ${rule}). ${counts}.`
  const picture = { width: inner + 2 * margin, height, id, title, description }
  return drawSvg({ ...picture, role: options.interactive ? 'group' : 'img' }, (svg) => {
    for (const [i, line] of titleLines.entries())
      drawText(svg, margin, margin + 14 + i * 24, line, { size: 18, bold: true })
    drawLegend(
      svg.append('g').attr('transform', `translate(${margin},${legendTop})`),
      highest,
      id,
      ratio,
      rule,
    )
    for (const [i, panel] of panels.entries()) {
      const x = margin + (i % columns) * (panelWidth + gap)
      const y = panelsTop + Math.floor(i / columns) * (panelHeight + 12)
      const group = svg.append('g').attr('class', 'hz-panel').attr('transform', `translate(${x},${y})`)
      // On a page one stop of the tab key leads to each panel, and the arrow keys from head to head.
      if (options.interactive)
        group
          .attr('tabindex', 0)
          .attr('role', 'group')
          .attr('aria-label', `${plain(panel.name)}: arrow keys read heads`)
      drawPanel(group, panel, selections[i]!, grid, i, highest, options.interactive ?? false)
    }
    for (const [i, line] of footLines.entries())
      drawText(svg, margin, footTop + 8 + i * 15, line, { size: 11, tone: 'hz-faint' })
  })
}

function drawPanel(
  group: Shape,
  { name, scores }: Panel,
  selection: Selection,
  grid: Grid,
  index: number,
  highest: number,
  interactive: boolean,
): void {
  drawText(group, room.left, 14, cut(name, 13, grid.width), { size: 13, bold: true })
  const kept = { size: 12, tone: 'hz-faint' } as const
  drawText(group, room.left, 31, keptText(selection), kept).attr('data-hz-kept', index)

  const cells = group.append('g').attr('transform', `translate(${room.left},${room.top})`)
  for (const [at, score] of scores.max.entries()) {
    const colour = scaleColour(score / highest)
    const evicted = !selection.keep[at]
    const { group: one, x, y, size } = drawCell(cells, at, scores.kvHeads, grid, colour)
    if (evicted || interactive) {
      const mark = drawCross(one, x, y, size, colour)
      if (!evicted) mark.attr('visibility', 'hidden')
    }
    const head = headLabel(at, scores.layerIds, scores.kvHeads)
    one.append('title').text(`${head}: ${scoreText(score)}, ${evicted ? 'evicted' : 'kept'}`)
  }
  drawAxes(group, scores.layerIds, scores.kvHeads, grid)
}

function drawLegend(group: Shape, highest: number, id: string, ratio: number, rule: SelectionRule): void {
  const [width, height] = [220, 14]
  const gradient = group.append('defs').append('linearGradient').attr('id', `${id}-scale`)
  for (let i = 0; i <= 10; i++)
    gradient
      .append('stop')
      .attr('offset', `${i * 10}%`)
      .attr('stop-color', scaleColour(i / 10))
  drawText(group, 0, 10, 'head score', { size: 12 })
  group
    .append('rect')
    .attr('y', 17)
    .attr('width', width)
    .attr('height', height)
    .attr('fill', `url(#${id}-scale)`)
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle'
    drawLine(group, [part * width, 31], [part * width, 34], 'hz-faint')
    drawText(group, part * width, 45, tickText(part * highest), { size: 11, tone: 'hz-faint', anchor })
  }
  const swatch = (x: number, cross: boolean) => {
    const colour = scaleColour(0.25)
    group.append('rect').attr('x', x).attr('y', 15).attr('width', 18).attr('height', 18).attr('fill', colour)
    if (cross) drawCross(group, x, 15, 18, colour)
  }
  swatch(width + 40, false)
  drawText(group, width + 66, 28, 'kept', { size: 12 })
  swatch(width + 124, true)
  drawText(group, width + 150, 28, askedText(ratio, rule), { size: 12 }).attr('data-hz-asked', rule)
}

/** d3 comes with d3-node; drawing itself happens in the document of `drawSvg`. */

function scaleColour(at: number): string {
  return d3().interpolateViridis(Math.min(Math.max(at, 0), 1))
}

export function keptText({ kept, keep }: Pick<Selection, 'kept' | 'keep'>): string {
  return `${kept} of ${keep.length} kept`
}

export function askedText(ratio: number, rule: SelectionRule): string {
  return `evicted at ratio ${ratio}${rule === 'published' ? ' (published rule)' : ''}`
}

function scoreText(score: number): string {
  return score.toFixed(4)
}

function tickText(score: number): string {
  return String(Number(score.toPrecision(3)))
}
