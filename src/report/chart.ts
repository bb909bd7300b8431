/** What line charts and scatters share: the plot's place, axes, line styles, a legend that wraps. */

import type { LinearScale } from 'd3-node'
import { drawLine, drawText, round, type Shape, textWidth } from './svg.js'

/** Okabe and Ito's colours, told apart by colour-blind people; dashes tell the lines apart without colour. */
export const strokes = [
  { colour: '#0072b2', dash: '7 3' },
  { colour: '#d55e00', dash: '2 3' },
  { colour: '#009e73', dash: '9 3 2 3' },
  { colour: '#cc79a7', dash: '4 4' },
  { colour: '#8a7500', dash: '12 4' },
] as const

export const width = 720
export const plot = { left: 64, top: 60, width: 632, height: 240 } as const
export type Scale = LinearScale

export interface Axis {
  scale: Scale
  ticks: number[]
  label: string
  format: (tick: number) => string
}

/** Rules and labels of both axes; `bottom` of a plot that is taller than usual. */
export function drawAxes(svg: Shape, x: Axis, y: Axis, height: number = plot.height): void {
  const bottom = plot.top + height
  for (const value of y.ticks) {
    drawLine(svg, [plot.left, y.scale(value)], [plot.left + plot.width, y.scale(value)], 'hz-rule').attr(
      'stroke-width',
      0.7,
    )
    drawText(svg, plot.left - 8, y.scale(value) + 4, y.format(value), {
      size: 11,
      tone: 'hz-faint',
      anchor: 'end',
    })
  }
  for (const value of x.ticks) {
    drawLine(svg, [x.scale(value), bottom], [x.scale(value), bottom + 4], 'hz-faint')
    drawText(svg, x.scale(value), bottom + 17, x.format(value), {
      size: 11,
      tone: 'hz-faint',
      anchor: 'middle',
    })
  }
  drawText(svg, plot.left + plot.width / 2, bottom + 36, x.label, { size: 12, anchor: 'middle' })
  drawText(svg, 0, 0, y.label, { size: 12, anchor: 'middle' }).attr(
    'transform',
    `translate(22,${round(plot.top + height / 2)}) rotate(-90)`,
  )
}

/** 0.2 below ten, 20 above: ticks that no fraction makes longer */
export function tickText(value: number, highest: number): string {
  return highest > 10 ? String(value) : value.toFixed(1)
}

/** Single sources are dashed and coloured; the main line, the merged scores where there are several, is solid. */
export function stroke(path: Shape, index: number, solid: boolean): void {
  const style = solid ? null : strokes[index % strokes.length]!
  path.attr('fill', 'none').attr('stroke-width', style ? 1.8 : 2.2)
  if (style)
    path
      .attr('class', `hz-series-${index % strokes.length}`)
      .attr('stroke', style.colour)
      .attr('stroke-dasharray', style.dash)
  else path.attr('class', 'hz-ink-line').attr('stroke', '#1f2328')
}

export function layLegend(names: string[]): { name: string; left: number; row: number }[] {
  let left: number = plot.left
  let row = 0
  return names.map((name) => {
    const shown = name.length > 60 ? `${name.slice(0, 59)}…` : name
    const taken = 37 + textWidth(shown, 12) + 24
    if (left > plot.left && left + taken > width) {
      left = plot.left
      row++
    }
    const entry = { name: shown, left: round(left), row }
    left += taken
    return entry
  })
}
