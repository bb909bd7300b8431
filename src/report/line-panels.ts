/** Small multiples of curves with bands: accuracy against what is kept, and the like. A function of its data alone. */

import { InputError } from '../errors.js'
import { d3 } from './d3.js'
import { drawLine, drawSvg, drawText, round, type Shape, textWidth } from './svg.js'

export interface Point {
  x: number
  y: number
  /** Edges of the band, where the curve is a mean of several. */
  low?: number | undefined
  high?: number | undefined
}

export interface Series {
  name: string
  /** In the order in which they are joined. */
  points: readonly Point[]
}

export interface LinePanel {
  title: string
  xLabel: string
  yLabel: string
  series: readonly Series[]
  /** Ends of the x axis; 0 and the largest x unless given. */
  x?: readonly [number, number] | undefined
}

export interface LinePanelsOptions {
  title: string
  /** prefix of ids; default `curves` */
  id?: string | undefined
  /** Panels side by side; default 2. */
  columns?: number | undefined
}

/** Okabe and Ito's colours; dashes and markers tell the lines apart without colour. */
const styles = [
  { colour: '#0072b2', dash: '' },
  { colour: '#d55e00', dash: '7 3' },
  { colour: '#009e73', dash: '2 3' },
  { colour: '#cc79a7', dash: '9 3 2 3' },
  { colour: '#8a7500', dash: '12 4' },
  { colour: '#56b4e9', dash: '4 4' },
] as const

const panel = { width: 430, height: 270, left: 56, right: 14, top: 34, bottom: 50 } as const
const margin = { side: 16, top: 44, legend: 20 } as const

/** @returns a complete SVG document; y runs from 0 to 1 and is labelled in percent */
export function linePanels(panels: readonly LinePanel[], options: LinePanelsOptions): string {
  const points = panels.flatMap(({ series }) => series.flatMap((each) => each.points))
  if (points.length === 0) throw new InputError('nothing to draw: there are no points')
  const { title, id = 'curves', columns = 2 } = options
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))]
  const across = Math.min(columns, panels.length)
  const rows = Math.ceil(panels.length / across)
  const width = margin.side * 2 + across * panel.width
  const legend = layLegend(names, width)
  const legendTop = margin.top + rows * panel.height + 8
  const height = legendTop + ((legend.at(-1)?.row ?? 0) + 1) * margin.legend + 8
  const description = `Curves of ${names.join(', ')}; bands go from the worst to the best of several.`
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, margin.side, 28, title, { size: 15, bold: true })
    for (const [i, each] of panels.entries()) {
      const group = svg
        .append('g')
        .attr(
          'transform',
          `translate(${margin.side + (i % across) * panel.width},${margin.top + Math.floor(i / across) * panel.height})`,
        )
      drawPanel(group, each, names)
    }
    for (const { name, left, row } of legend) {
      const y = legendTop + row * margin.legend + 10
      drawStroke(svg, `M${left},${y - 4}h30`, names.indexOf(name))
      drawMarker(svg, left + 15, y - 4, names.indexOf(name))
      drawText(svg, left + 37, y, name, { size: 12 })
    }
  })
}

function drawPanel(svg: Shape, { title, xLabel, yLabel, series, x: ends }: LinePanel, names: string[]): void {
  const right = panel.width - panel.right
  const bottom = panel.height - panel.bottom
  const largest = Math.max(...series.flatMap(({ points }) => points.map(({ x }) => x)))
  const [from, to] = ends ?? [0, largest > 0 ? largest : 1]
  const x = d3().scaleLinear([from, to], [panel.left, right])
  const y = d3().scaleLinear([0, 1], [bottom, panel.top])
  drawText(svg, panel.left, panel.top - 12, title, { size: 13, bold: true })
  for (const value of y.ticks(5)) {
    drawLine(svg, [panel.left, y(value)], [right, y(value)], 'hz-rule').attr('stroke-width', 0.7)
    const label = String(Math.round(100 * value))
    drawText(svg, panel.left - 8, y(value) + 4, label, { size: 11, tone: 'hz-faint', anchor: 'end' })
  }
  for (const value of x.ticks(6)) {
    drawLine(svg, [x(value), bottom], [x(value), bottom + 4], 'hz-faint')
    drawText(svg, x(value), bottom + 17, String(value), { size: 11, tone: 'hz-faint', anchor: 'middle' })
  }
  drawText(svg, (panel.left + right) / 2, bottom + 35, xLabel, { size: 12, anchor: 'middle' })
  drawText(svg, 0, 0, yLabel, { size: 12, anchor: 'middle' }).attr(
    'transform',
    `translate(14,${round((panel.top + bottom) / 2)}) rotate(-90)`,
  )
  const at = (points: readonly Point[], of: (point: Point) => number): [number, number][] =>
    points.map((point) => [round(x(point.x)), round(y(of(point)))])
  for (const { name, points } of series) {
    const banded = points.filter(({ low, high }) => low !== undefined && high !== undefined)
    if (banded.length < 2) continue
    const edge = [...at(banded, ({ low }) => low!), ...at(banded, ({ high }) => high!).reverse()]
    svg
      .append('path')
      .attr('d', `${d3().line()(edge) ?? ''}Z`)
      .attr('fill', styleOf(names.indexOf(name)).colour)
      .attr('fill-opacity', 0.15)
  }
  for (const { name, points } of series) {
    const style = names.indexOf(name)
    const positions = at(points, (point) => point.y)
    drawStroke(svg, d3().line()(positions) ?? '', style)
    for (const [px, py] of positions) drawMarker(svg, px, py, style)
  }
}

function drawStroke(svg: Shape, path: string, index: number): void {
  const { colour, dash } = styleOf(index)
  const stroke = svg
    .append('path')
    .attr('d', path)
    .attr('class', `hz-series-${index % styles.length}`)
    .attr('fill', 'none')
    .attr('stroke', colour)
    .attr('stroke-width', 2)
  if (dash !== '') stroke.attr('stroke-dasharray', dash)
}

/** Circle, square, triangle, diamond in turn. */
function drawMarker(svg: Shape, x: number, y: number, index: number): void {
  const paths = [
    'M-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0',
    'M-3,-3h6v6h-6z',
    'M0,-4l4,7h-8z',
    'M0,-4l4,4l-4,4l-4,-4z',
  ]
  svg
    .append('path')
    .attr('d', paths[index % paths.length]!)
    .attr('transform', `translate(${round(x)},${round(y)})`)
    .attr('fill', styleOf(index).colour)
}

function styleOf(index: number): (typeof styles)[number] {
  return styles[index % styles.length]!
}

function layLegend(names: readonly string[], width: number): { name: string; left: number; row: number }[] {
  const first = margin.side + panel.left
  let left: number = first
  let row = 0
  return names.map((name) => {
    const taken = 37 + textWidth(name, 12) + 24
    if (left > first && left + taken > width) {
      left = first
      row++
    }
    const entry = { name, left: round(left), row }
    left += taken
    return entry
  })
}
