import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { readAnyScores } from '../../src/formats/detect.js'
import { differenceMap } from '../../src/report/difference.js'
import { mainPanel, pairsOf, panelsOf } from '../../src/report/panels.js'
import { pictures } from '../../src/report/pictures.js'
import { layerProfile } from '../../src/report/profile.js'
import { agreementScatter } from '../../src/report/scatter.js'
import { stabilityCurve } from '../../src/report/stability.js'
import { budgetTable, provenanceBlock } from '../../src/report/tables.js'
import { convergence } from '../../src/scores/stability.js'
import { makeScores, nanoLike } from '../scores/make.js'

const published = 'test/fixtures/published'
const llama = await readAnyScores(`${published}/kvzip/llama3.1-8b-scbench_qa_eng-0.pt`)
const duo = await readAnyScores(`${published}/duo/Meta-Llama-3.1-8B-Instruct`)
const beside = panelsOf([llama], duo)
const a = { name: 'natural', scores: makeScores() }
const b = {
  name: 'code',
  scores: makeScores({
    max: Float32Array.of(0.25, 0.5, 1, 0.75, 0.125, 0.0625),
    provenance: { sources: [{ data: 'sample_repoqa', index: 0, tokens: 20 }] },
  }),
}
const count = (svg: string, part: string) => svg.split(part).length - 1

describe('panels', () => {
  test('with a pattern: drawn last, but the budget is not its', () => {
    expect(beside.map(({ name }) => name)).toEqual(['scbench_qa_eng-0', 'duo: Meta-Llama-3.1-8B-Instruct'])
    expect(mainPanel(beside).scores).toBe(llama)
    expect(pairsOf(beside)).toEqual([{ a: 0, b: 1 }])
    expect(pairsOf(panelsOf([nanoLike('x', 0), nanoLike('y', 1)]))).toEqual([{ a: 0, b: 1 }])
    expect(pairsOf(panelsOf([llama]))).toEqual([])
  })
})

describe('a difference', () => {
  test('crosses the heads that change sides, and names who keeps them', () => {
    const svg = differenceMap(beside[0]!, beside[1]!, { ratio: 0.6 })
    expect(count(svg, 'class="hz-cell"')).toBe(256)
    // one in the legend
    expect(count(svg, 'class="hz-mark"')).toBe(74 + 1)
    expect(count(svg, ', kept in scbench_qa_eng-0 only</title>')).toBe(37)
    expect(svg).toContain('74 of 256 change sides')
  })

  test('of other heads is refused', () => {
    expect(() => differenceMap(a, beside[0]!, { ratio: 0.6 })).toThrow('do not score the same heads')
  })
})

test('a scatter tells its figures and who keeps each head', () => {
  const svg = agreementScatter(beside[0]!, beside[1]!, { ratio: 0.6 })
  expect(svg).toContain('Spearman 0.561, Kendall 0.420, 74 of 256 change sides at ratio 0.6')
  expect(count(svg, ', kept by both</title>')).toBe(117)
  expect(count(svg, ', by a only</title>')).toBe(37)
  expect(count(svg, ', by b only</title>')).toBe(37)
  expect(count(svg, ', by neither</title>')).toBe(65)
})

test('a budget table holds the four words at each ratio', () => {
  const svg = budgetTable(makeScores(), { ratios: [0.5, 1], tokens: 1000 })
  for (const text of ['compression_ratio', '3 of 6', '0.5000', '0.3080', '0.6920', '6 of 6', '1.0000'])
    expect(svg).toContain(`>${text}</text>`)
})

test('pictures are the same text every time, two decimals at most', () => {
  const drawn = pictures(beside, { ratio: 0.6 })
  expect(drawn.map(([name]) => name)).toEqual([
    'curve',
    'layers',
    'difference-pattern',
    'agreement-pattern',
    'budget',
    'provenance',
  ])
  expect(pictures(beside, { ratio: 0.6 })).toEqual(drawn)
  for (const [, svg] of drawn) expect(svg).not.toMatch(/="[^"]*\d\.\d{3}/)
  const ids = drawn.flatMap(([, svg]) => [...svg.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
  expect(new Set(ids).size).toBe(ids.length)
})

describe('has not changed since it was last looked at', () => {
  const options = { ratio: 0.5 }
  test.each([
    ['difference', () => differenceMap(a, b, options)],
    ['scatter', () => agreementScatter(a, b, options)],
    ['layers', () => layerProfile([a, b], options)],
    ['budget', () => budgetTable(makeScores())],
    ['provenance', () => provenanceBlock(makeScores())],
    [
      'stability',
      () =>
        stabilityCurve(convergence([a.scores, b.scores], { orders: 3 }), {
          parts: 'samples',
          title: 'nano',
          ratio: 0.6,
          first: 'as given',
        }),
    ],
  ])('%s', (_, draw) => {
    expect(draw()).toMatchSnapshot()
  })
})

test('the gallery is what this version draws', async () => {
  const file = await readFile('reports/gallery/llama3.1-8b/difference-pattern.svg', 'utf8')
  const drawn = pictures(beside, { ratio: 0.6 }).find(([name]) => name === 'difference-pattern')!
  expect(file).toBe(drawn[1])
})
