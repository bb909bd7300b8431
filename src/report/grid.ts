/** What pictures of layers x KV heads share: cell sizes, axes, crosses. */

import { d3 } from './d3.js'
import { colours, drawText, round, type Shape } from './svg.js'

/** Room for the KV head axis at the left, the layer axis below, the panel's name above. */
export const room = { left: 46, bottom: 40, top: 42 }
/** Panels stand beside one another up to this width. */
export const widest = 1100

/** Sizes of one panel's grid in pixels. */
export interface Grid {
  cell: number
  width: number
  height: number
}

export function gridOf({ layers, kvHeads }: { layers: number; kvHeads: number }): Grid {
  const cell = Math.min(Math.max(Math.floor(Math.min((widest - room.left) / layers, 420 / kvHeads)), 11), 44)
  return { cell, width: cell * layers, height: cell * kvHeads }
}

/** One rectangle a head; its group is returned, for a cross and the accessible text. */
export function drawCell(
  cells: Shape,
  at: number,
  kvHeads: number,
  { cell }: Grid,
  colour: string,
): { group: Shape; x: number; y: number; size: number } {
  const [x, y] = [Math.floor(at / kvHeads) * cell, (at % kvHeads) * cell]
  const size = cell - (cell >= 14 ? 1 : 0.5)
  const group = cells.append('g').attr('class', 'hz-cell').attr('data-hz-cell', at)
  group.append('rect').attr('x', x).attr('y', y).attr('width', size).attr('height', size).attr('fill', colour)
  return { group, x, y, size }
}

export function drawAxes(
  group: Shape,
  layerIds: Int32Array,
  kvHeads: number,
  { cell, width, height }: Grid,
): void {
  const tick = { size: 11, tone: 'hz-faint' } as const
  const label = { size: 12, tone: 'hz-ink', anchor: 'middle' } as const
  const bottom = room.top + height
  const layerStep = stepFor(cell, 26)
  for (let i = 0; i < layerIds.length; i += layerStep)
    drawText(group, room.left + (i + 0.5) * cell, bottom + 14, String(layerIds[i]), {
      ...tick,
      anchor: 'middle',
    })
  const headStep = stepFor(cell, 13)
  for (let head = 0; head < kvHeads; head += headStep)
    drawText(group, room.left - 6, room.top + (head + 0.5) * cell + 4, String(head), {
      ...tick,
      anchor: 'end',
    })
  drawText(group, room.left + width / 2, bottom + 31, 'layer', label)
  drawText(group, 0, 0, 'KV head', label).attr(
    'transform',
    `translate(13,${round(room.top + height / 2)}) rotate(-90)`,
  )
}

/** A cross is seen without telling colours apart; its own colour is chosen against the cell's. */
export function drawCross(parent: Shape, x: number, y: number, size: number, on: string): Shape {
  const [near, far] = [size * 0.26, size * 0.74]
  const points = [x + near, y + near, x + far, y + far, x + far, y + near, x + near, y + far].map(round)
  return parent
    .append('path')
    .attr('class', 'hz-mark')
    .attr(
      'd',
      `M${points[0]},${points[1]}L${points[2]},${points[3]}M${points[4]},${points[5]}L${points[6]},${points[7]}`,
    )
    .attr('stroke', d3().hcl(on).l > 58 ? colours['hz-ink'] : '#ffffff')
    .attr('stroke-width', round(Math.max(1.2, size / 13)))
    .attr('stroke-linecap', 'round')
    .attr('fill', 'none')
}

/** `layer 3, KV head 1` */
export function headLabel(at: number, layerIds: Int32Array, kvHeads: number): string {
  return `layer ${layerIds[Math.floor(at / kvHeads)]}, KV head ${at % kvHeads}`
}

/** Of every how many cells one gets a label, so that labels are `width` pixels apart. */
function stepFor(cell: number, width: number): number {
  return [1, 2, 4, 5, 10, 20, 50].find((step) => step * cell >= width) ?? 100
}

/** A name that fits over its panel. */
export function cut(content: string, size: number, width: number): string {
  const most = Math.max(Math.floor(width / (size * 0.68)), 6)
  return content.length <= most ? content : `${content.slice(0, most - 1)}…`
}
