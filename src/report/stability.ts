/** How the ranking settles as parts are added: agreement with the final ranking, its spread over orders of the parts. */

import { checkEach, checkFields, checkOptions } from '../check.js'
import { InputError } from '../errors.js'
import type { Spread, Step } from '../scores/stability.js'
import { drawAxes, layLegend, plot, strokes, width } from './chart.js'
import { d3 } from './d3.js'
import { drawSvg, drawText, round } from './svg.js'

export interface StabilityCurveOptions {
  /** what a part is: `samples`, `chunks of 2000` */
  parts: string
  /** of what: the model and its data */
  title: string
  /** where overlaps were told */
  ratio: number
  /** name of the order given, to draw it as a line of its own */
  first?: string
  /** prefix of ids; default `stability` */
  id?: string
}

/** An empty list is refused with words of its own. */
function checkSteps(value: unknown): void {
  const spread = { mean: 'number', least: 'number', most: 'number' } as const
  checkEach(
    value,
    'steps',
    (step, name) => {
      checkFields(step, name, { parts: 'count' })
      const { spearman, overlap, first } = step as Step
      checkFields(spearman, `${name}.spearman`, spread)
      checkFields(overlap, `${name}.overlap`, spread)
      checkFields(first, `${name}.first`, { spearman: 'number', overlap: 'number' })
    },
    0,
  )
}

/** @returns a complete SVG document: lines are means over orders, bands go from the least to the most */
export function stabilityCurve(steps: readonly Step[], options: StabilityCurveOptions): string {
  checkSteps(steps)
  checkOptions(options, { parts: 'string', title: 'string', ratio: 'ratio', first: 'string?', id: 'text?' })
  if (steps.length === 0) throw new InputError('nothing to draw: there are no parts')
  const { parts, title, ratio, id = 'stability' } = options
  const names = ['Spearman with the final ranking', `final top ${ratio} found so far`]
  const series = [steps.map((step) => step.spearman), steps.map((step) => step.overlap)]
  if (options.first !== undefined) {
    names.push(`Spearman, ${options.first}`)
    const alone = (value: number): Spread => ({ mean: value, least: value, most: value })
    series.push(steps.map(({ first }) => alone(first.spearman)))
  }
  const lowest = Math.min(...series.flat().map(({ least }) => least))
  const floor = Math.max(0, Math.floor((lowest - 0.02) * 10) / 10)
  const x = d3().scaleLinear([1, Math.max(steps.length, 2)], [plot.left, plot.left + plot.width])
  const y = d3().scaleLinear([floor, 1], [plot.top + plot.height, plot.top])
  const legendTop = plot.top + plot.height + 62
  const legend = layLegend(names)
  const height = legendTop + (legend.at(-1)?.row ?? 0) * 20 + 16
  const description = steps
    .map(({ parts: n, spearman, overlap }) => `${n}: ${spearman.mean.toFixed(3)}, ${overlap.mean.toFixed(3)}`)
    .join('; ')
  return drawSvg({ width, height, id, title, description }, (svg) => {
    drawText(svg, 16, 24, title, { size: 14, bold: true })
    drawText(svg, 16, 43, 'Lines: mean over orders of the parts; bands: least to most', {
      size: 12,
      tone: 'hz-faint',
    })
    drawAxes(
      svg,
      { scale: x, ticks: x.ticks(10).filter(Number.isInteger), label: parts, format: String },
      { scale: y, ticks: y.ticks(5), label: 'agreement', format: (value) => value.toFixed(2) },
    )
    for (const [i, spreads] of series.entries()) {
      const { colour, dash } = strokes[i]!
      const up = spreads.map(({ most }, n): [number, number] => [round(x(n + 1)), round(y(most))])
      const down = spreads.map(({ least }, n): [number, number] => [round(x(n + 1)), round(y(least))])
      svg
        .append('path')
        .attr('d', `${d3().line()([...up, ...down.reverse()])}Z`)
        .attr('fill', colour)
        .attr('fill-opacity', 0.13)
      const line = spreads.map(({ mean }, n): [number, number] => [round(x(n + 1)), round(y(mean))])
      for (const d of [
        d3().line()(line) ?? '',
        `M${legend[i]!.left},${legendTop + legend[i]!.row * 20 - 4}h30`,
      ])
        svg
          .append('path')
          .attr('d', d)
          .attr('fill', 'none')
          .attr('class', `hz-series-${i}`)
          .attr('stroke', colour)
          .attr('stroke-width', 2)
          .attr('stroke-dasharray', i === 0 ? 'none' : dash)
      for (const [n, { mean, least, most }] of spreads.entries())
        svg
          .append('circle')
          .attr('cx', round(x(n + 1)))
          .attr('cy', round(y(mean)))
          .attr('r', 3)
          .attr('fill', colour)
          .append('title')
          .text(
            `${n + 1}: ${names[i]} ${mean.toFixed(3)}, between ${least.toFixed(3)} and ${most.toFixed(3)}`,
          )
    }
    for (const { name, left, row } of legend)
      drawText(svg, left + 37, legendTop + row * 20, name, { size: 12 })
  })
}
