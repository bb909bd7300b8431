import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { importKvzip } from '../../src/formats/kvzip-pt.js'
import { scoreCurve } from '../../src/report/curve.js'
import { heatmap } from '../../src/report/heatmap.js'
import { panelsOf } from '../../src/report/panels.js'
import { renderPng } from '../../src/report/png.js'
import { makeScores, nanoLike } from '../scores/make.js'

const published = 'test/fixtures/published/kvzip'
const nano = panelsOf([nanoLike('sample_qa_eng', 0), nanoLike('sample_repoqa', 1)])
const qwen = panelsOf([
  await importKvzip(`${published}/qwen2.5-7b-scbench_qa_eng-0.pt`),
  await importKvzip(`${published}/qwen2.5-7b-scbench_repoqa-0.pt`),
])
const count = (svg: string, part: string) => svg.split(part).length - 1

describe('a heatmap', () => {
  test('has a cell a head in every panel, and a cross on each that is evicted', () => {
    const svg = heatmap(qwen, { ratio: 0.6 })
    expect(count(svg, 'class="hz-panel"')).toBe(3)
    expect(count(svg, 'class="hz-cell"')).toBe(3 * 112)
    // 112 - 67 in each panel, one in the legend
    expect(count(svg, 'class="hz-mark"')).toBe(3 * 45 + 1)
    expect(count(svg, ', evicted</title>')).toBe(3 * 45)
    expect(count(svg, '67 of 112 kept</text>')).toBe(3)
  })

  test('shows what the published rule does to saturated scores', () => {
    const svg = heatmap(qwen.slice(2), { ratio: 0.25, rule: 'published' })
    expect(count(svg, ', evicted</title>')).toBe(112)
    expect(svg).toContain('evicted at ratio 0.25 (published rule)')
    expect(count(heatmap(qwen.slice(2), { ratio: 0.25 }), ', evicted</title>')).toBe(84)
  })

  test('is the same text every time, and rounds to two decimals', () => {
    const svg = heatmap(nano, { ratio: 0.6 })
    expect(heatmap(nano, { ratio: 0.6 })).toBe(svg)
    expect(svg).not.toMatch(/="[^"]*\d\.\d{3}/)
  })

  test('has not changed since it was last looked at', () => {
    expect(heatmap(nano, { ratio: 0.6 })).toMatchSnapshot()
  })

  test('names scores to those who do not see it', () => {
    const svg = heatmap(nano, { ratio: 0.6 })
    expect(svg).toContain('role="img" aria-labelledby="heatmap-title heatmap-desc"')
    expect(svg).toContain('<title id="heatmap-title">KV head scores of nano</title>')
    expect(svg).toContain('3 heatmaps of 6 layers by 4 KV heads.')
    expect(svg).toContain('<title>layer 0, KV head 1: 0.2939, evicted</title>')
  })

  test('labels the layers of a hybrid model by their index in the model', () => {
    const svg = heatmap([{ name: 'a', scores: makeScores({ layerIds: Int32Array.of(5, 11) }) }], {
      ratio: 0.5,
    })
    expect(svg).toContain('>11</text>')
    expect(svg).toContain('<title>layer 5, KV head 0: 1.0000, kept</title>')
  })

  test('takes any title without breaking', () => {
    const svg = heatmap(nano, { ratio: 0.6, title: 'a <b> & "c" \u0000\u0007 d'.padEnd(400, ' long') })
    expect(svg).toContain('<title id="heatmap-title">a &lt;b&gt; &amp; "c" d long')
    expect(renderPng(svg).length).toBeGreaterThan(1000)
  })

  test('of heads that differ is refused', () => {
    const other = { name: 'other', scores: makeScores() }
    expect(() => heatmap([...nano, other], { ratio: 0.6 })).toThrow(
      'sample_qa_eng-0 (6 x 4) and other (2 x 3) do not score the same heads',
    )
    expect(() => heatmap([], { ratio: 0.6 })).toThrow('nothing to draw')
  })

  test.each([0, 1.5, Number.NaN])('of ratio %s is refused', (ratio) => {
    expect(() => heatmap(nano, { ratio })).toThrow('ratio must be a number in (0, 1]')
  })
})

describe('a score curve', () => {
  test('has a line a panel, a dash each but for the merged one, and the cut', () => {
    const svg = scoreCurve(qwen, { ratio: 0.6 })
    expect(count(svg, 'stroke-dasharray')).toBe(2 * 2)
    expect(svg).toContain('67 of 112 kept')
    // 64 + 632 * 67 / 112
    expect(svg).toContain('transform="translate(442.07,0)"')
  })

  test('has not changed since it was last looked at', () => {
    expect(scoreCurve(nano, { ratio: 0.6 })).toMatchSnapshot()
  })
})

describe('a PNG', () => {
  test('has twice the size of the SVG and the text in it', () => {
    const svg = heatmap(nano, { ratio: 0.6 })
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!
    const png = Buffer.from(renderPng(svg))
    expect(png.toString('latin1', 1, 4)).toBe('PNG')
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([Number(width) * 2, Number(height) * 2])
    const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
    const textless = svg.replaceAll(/<text[^>]*>[^<]*<\/text>/g, '')
    expect(hash(renderPng(textless))).not.toBe(hash(png))
  })
})

describe('panels', () => {
  test('are the data sets and their merged maximum, which is used when it is given', () => {
    expect(nano.map(({ name }) => name)).toEqual(['sample_qa_eng-0', 'sample_repoqa-0', 'merged maximum'])
    const [qa, repo, merged] = nano.map(({ scores }) => scores)
    expect(panelsOf([merged!, qa!, repo!])).toEqual(nano)
    expect(panelsOf([qa!])).toHaveLength(1)
  })

  test('of nothing are refused', () => {
    expect(() => panelsOf([])).toThrow('nothing to report: no scores were given')
  })
})
