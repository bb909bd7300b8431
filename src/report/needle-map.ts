/**
 * Needle in a haystack: how well the needle is found by context length and depth, a panel a way of evicting and ratio.
 * Axes and colours follow Greg Kamradt's pictures; the figure in each cell says the same without colour.
 */

import { InputError } from '../errors.js'
import { drawSvg, drawText, type Shape, textWidth } from './svg.js'

export interface NeedleCell {
  /** Context tokens. */
  length: number
  /** Percent of the context before the needle. */
  depth: number
  /** 0..1 */
  score: number
}

export interface NeedlePanel {
  /** Panels of one row share it. */
  row: string
  /** `ratio 0.6` */
  column: string
  cells: readonly NeedleCell[]
}

export interface NeedleMapOptions {
  title: string
  /** prefix of ids; default `needle` */
  id?: string | undefined
}

const cell = { width: 34, height: 17 } as const
const gap = { x: 18, y: 54 } as const
const margin = { left: 64, top: 58, right: 16, bottom: 44 } as const
const footnote = 'across: context tokens; cells: percent of needles found'
/** Red, yellow and green for 0, a half and 1. */
const colours = [
  [0xf0, 0x49, 0x6e],
  [0xeb, 0xb8, 0x39],
  [0x0c, 0xd7, 0x9f],
] as const

/** @returns a complete SVG document; lengths run to the right, depths downwards */
export function needleMap(panels: readonly NeedlePanel[], options: NeedleMapOptions): string {
  const cells = panels.flatMap((panel) => panel.cells)
  if (cells.length === 0) throw new InputError('nothing to draw: there are no needle results')
  const { title, id = 'needle' } = options
  const lengths = ascending(cells.map(({ length }) => length))
  const depths = ascending(cells.map(({ depth }) => depth))
  const rows = [...new Set(panels.map(({ row }) => row))]
  const ofRow = (row: string): NeedlePanel[] => panels.filter((panel) => panel.row === row)
  const columns = Math.max(...rows.map((row) => ofRow(row).length))
  const panelWidth = Math.max(lengths.length * cell.width, textWidth('ratio 0.05', 11))
  const panelHeight = depths.length * cell.height
  const width = Math.max(
    margin.left + columns * (panelWidth + gap.x) + margin.right,
    margin.left + Math.max(...rows.map((row) => textWidth(row, 12)), textWidth(footnote, 11)) + margin.right,
    textWidth(title, 15) + 32,
  )
  const height = margin.top + rows.length * (panelHeight + gap.y) + margin.bottom
  const description = `Percent of needles found by context length and depth, for ${rows.join(', ')}.`
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, 16, 26, title, { size: 15, bold: true })
    for (const [r, row] of rows.entries()) {
      const top = margin.top + r * (panelHeight + gap.y)
      drawText(svg, margin.left, top - 8, row, { size: 12, bold: true })
      for (const [c, panel] of ofRow(row).entries()) {
        const group = svg
          .append('g')
          .attr('transform', `translate(${margin.left + c * (panelWidth + gap.x)},${top + 16})`)
        drawText(group, 0, -4, panel.column, { size: 11 })
        drawCells(group, panel.cells, lengths, depths)
        for (const [i, length] of lengths.entries())
          drawText(group, (i + 0.5) * cell.width, panelHeight + 12, String(length), {
            size: 10,
            tone: 'hz-faint',
            anchor: 'middle',
          })
      }
      for (const [i, depth] of depths.entries())
        drawText(svg, margin.left - 6, top + 16 + (i + 0.7) * cell.height, `${depth}%`, {
          size: 10,
          tone: 'hz-faint',
          anchor: 'end',
        })
      drawText(svg, 0, 0, 'depth', { size: 11, anchor: 'middle' }).attr(
        'transform',
        `translate(16,${top + 16 + panelHeight / 2}) rotate(-90)`,
      )
    }
    drawText(svg, margin.left, height - 16, footnote, { size: 11 })
  })
}

function drawCells(
  svg: Shape,
  cells: readonly NeedleCell[],
  lengths: readonly number[],
  depths: readonly number[],
): void {
  for (const { length, depth, score } of cells) {
    const x = lengths.indexOf(length) * cell.width
    const y = depths.indexOf(depth) * cell.height
    svg
      .append('rect')
      .attr('x', x)
      .attr('y', y)
      .attr('width', cell.width - 1)
      .attr('height', cell.height - 1)
      .attr('fill', colourOf(score))
    // dark on every one of the colours
    svg
      .append('text')
      .attr('x', x + cell.width / 2 - 0.5)
      .attr('y', y + cell.height * 0.72)
      .attr('font-size', 9)
      .attr('text-anchor', 'middle')
      .attr('fill', '#1f2328')
      .text(String(Math.round(100 * score)))
  }
}

function colourOf(score: number): string {
  const position = Math.min(Math.max(score, 0), 1) * (colours.length - 1)
  const i = Math.min(Math.floor(position), colours.length - 2)
  const parts = colours[i]!.map((from, channel) => {
    const to = colours[i + 1]![channel]!
    return Math.round(from + (to - from) * (position - i))
  })
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b)
}
