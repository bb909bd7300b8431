import { describe, expect, it } from 'vitest'
import { documentPage } from '../../src/report/document.js'
import { type LinePanel, linePanels } from '../../src/report/line-panels.js'
import { needleMap } from '../../src/report/needle-map.js'

const panel: LinePanel = {
  title: 'data & <more>',
  xLabel: 'ratio',
  yLabel: 'percent',
  x: [0, 1],
  series: [
    {
      name: 'head',
      points: [
        { x: 0.1, y: 0.5 },
        { x: 1, y: 1 },
      ],
    },
    {
      name: 'random',
      points: [
        { x: 0.1, y: 0.2, low: 0, high: 0.4 },
        { x: 1, y: 1, low: 1, high: 1 },
      ],
    },
  ],
}

const count = (text: string, part: string): number => text.split(part).length - 1

describe('curves', () => {
  it('draw a line and its markers a series, a band where there are several, and a legend', () => {
    const svg = linePanels([panel, { ...panel, title: 'b' }], { title: 'Curves' })
    expect(count(svg, 'class="hz-series-0"')).toBe(2 + 1)
    expect(count(svg, 'fill-opacity="0.15"')).toBe(2)
    expect(count(svg, '>random<')).toBe(1)
    expect(svg).toContain('data &amp; &lt;more&gt;')
    // (0.1, 50%) and (1, 100%) of the plot's 56..416 by 220..34
    expect(svg).toContain('d="M92,127L416,34"')
  })

  it('refuse to draw nothing', () => {
    expect(() => linePanels([], { title: 'none' })).toThrow('nothing to draw: there are no points')
  })
})

describe('the needle map', () => {
  const cells = [500, 2000].flatMap((length) =>
    [0, 50].map((depth) => ({ length, depth, score: depth / 50 })),
  )

  it('has lengths to the right, depths downwards, red to green', () => {
    const svg = needleMap([{ row: 'head', column: 'ratio 0.6', cells }], { title: 'Needles' })
    expect(svg).toContain('<rect x="34" y="17" width="33" height="16" fill="#0cd79f"')
    expect(svg).toContain('<rect x="0" y="0" width="33" height="16" fill="#f0496e"')
    for (const label of ['0%', '50%', '500', '2000', 'head', 'ratio 0.6']) expect(svg).toContain(`>${label}<`)
    const half = needleMap([{ row: 'a', column: 'b', cells: [{ length: 1, depth: 0, score: 0.5 }] }], {
      title: 'T',
    })
    expect(half).toContain('fill="#ebb839"')
  })

  it('refuses to draw nothing', () => {
    expect(() => needleMap([], { title: 'none' })).toThrow('nothing to draw: there are no needle results')
  })
})

it('the page of results escapes its title and allows no script', () => {
  const html = documentPage('a <b>', '<p>body</p>')
  expect(html).toContain('<title>a &lt;b&gt;</title>')
  expect(html).toContain("default-src 'none'; style-src 'unsafe-inline'")
  expect(html).not.toContain('<script')
})
