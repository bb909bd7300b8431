/** A layer at a time: how high its heads score, and how many of them the ratio keeps. */

import { checkOptions } from '../check.js'
import { InputError } from '../errors.js'
import { type SelectionRule, selectHeads } from '../scores/select.js'
import { drawAxes, layLegend, plot, stroke, tickText, width } from './chart.js'
import { d3 } from './d3.js'
import { checkPanels, mainPanel, type Panel, pictureFields, sameHeads } from './panels.js'
import { drawSvg, drawText, round } from './svg.js'

export interface ProfileOptions {
  ratio: number
  rule?: SelectionRule
  /** prefix of ids; default `profile` */
  id?: string
}

/** @returns a complete SVG document: a line a panel of each layer's mean score, bars of the kept share below it */
export function layerProfile(panels: readonly Panel[], options: ProfileOptions): string {
  checkPanels(panels)
  checkOptions(options, pictureFields)
  if (panels.length === 0) throw new InputError('nothing to draw: no scores were given')
  sameHeads(panels)
  const { ratio, rule = 'exact', id = 'profile' } = options
  const main = mainPanel(panels)
  const { layers, kvHeads, layerIds } = main.scores
  const { keep } = selectHeads(main.scores, { ratio, rule })
  const kept = Array.from(layerIds, (_, row) =>
    keep.subarray(row * kvHeads, (row + 1) * kvHeads).reduce((sum, flag) => sum + flag, 0),
  )
  const means = panels.map(({ scores }) =>
    Array.from(layerIds, (_, row) => {
      const heads = scores.max.subarray(row * kvHeads, (row + 1) * kvHeads)
      return heads.reduce((sum, score) => sum + score, 0) / kvHeads
    }),
  )
  const highest = Math.max(1, ...means.flat())
  const x = d3().scaleLinear([-0.5, layers - 0.5], [plot.left, plot.left + plot.width])
  const y = d3().scaleLinear([Math.min(0, ...means.flat()), highest], [plot.top + plot.height, plot.top])
  const base = plot.top + plot.height
  const bar = (plot.width / layers) * 0.7
  const step = [1, 2, 4, 5, 10, 20, 50].find((each) => (each * plot.width) / layers >= 26) ?? 100
  const legend = layLegend(panels.map(({ name }) => name))
  const legendTop = base + 62
  const height = legendTop + (legend.at(-1)?.row ?? 0) * 20 + 16
  const title = 'Mean score of each layer, and the share of its heads that are kept'
  const description =
    `Bars: heads kept at ratio ${ratio} (rule ${rule}) of ${main.name}, ` +
    `${Math.min(...kept)} to ${Math.max(...kept)} of ${kvHeads} a layer. Lines: mean score of a layer's heads.`
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, 16, 24, title, { size: 14, bold: true })
    for (const [row, count] of kept.entries())
      svg
        .append('rect')
        .attr('class', 'hz-bar')
        .attr('data-hz-base', base)
        .attr('data-hz-full', plot.height)
        .attr('x', round(x(row) - bar / 2))
        .attr('width', round(bar))
        .attr('y', round(base - (plot.height * count) / kvHeads))
        .attr('height', round((plot.height * count) / kvHeads))
        .attr('fill', '#d8dee4')
        .append('title')
        .text(`layer ${layerIds[row]}: ${count} of ${kvHeads} heads kept`)
    drawAxes(
      svg,
      {
        scale: x,
        ticks: Array.from(layerIds.keys()).filter((row) => row % step === 0),
        label: 'layer',
        format: (row) => String(layerIds[row]),
      },
      {
        scale: y,
        ticks: y.ticks(5),
        label: 'mean score; share kept',
        format: (value) => tickText(value, highest),
      },
    )
    for (const [i, line] of means.entries()) {
      const points = line.map((value, row): [number, number] => [round(x(row)), round(y(value))])
      stroke(svg.append('path').attr('d', d3().line()(points) ?? ''), i, panels[i] === main)
    }
    for (const [i, { name, left, row }] of legend.entries()) {
      const at = legendTop + row * 20
      stroke(svg.append('path').attr('d', `M${left},${at - 4}h30`), i, panels[i] === main)
      drawText(svg, left + 37, at, name, { size: 12 })
    }
  })
}
