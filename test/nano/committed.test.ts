/** head_scores/nano and reports/nano are what this version computes. */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  heatmap,
  loadModel,
  type Model,
  mergeScores,
  panelsOf,
  readScores,
  type SummaryRow,
  scoreHeads,
  spearman,
} from '../../src/index.js'

const file = (name: string): string => `head_scores/nano/${name}.arrow`
const sources = ['sample_qa_eng', 'sample_repoqa']
/** Instruction sets sum in other orders. */
const tolerance = 2e-5
let model: Model

beforeAll(async () => {
  model = await loadModel('nano')
})
afterAll(() => model.close())

describe('the committed files of nano', () => {
  it.each(sources)('hold the scores of %s as computed here', async (data) => {
    const committed = await readScores(file(`${data}-0`))
    const { max, mean, p99, positions, provenance } = await scoreHeads(model, { data, index: 0 })
    expect(committed.provenance.modelHash).toBe(provenance.modelHash)
    expect(committed.provenance.sources).toEqual(provenance.sources)
    expect(committed.positions).toBe(positions)
    for (const [ours, theirs] of [
      [max, committed.max],
      [mean, committed.mean],
      [p99, committed.p99],
    ] as const)
      expect(Math.max(...ours!.map((score, i) => Math.abs(score - theirs![i]!)))).toBeLessThan(tolerance)
    expect(Math.max(...max) - Math.min(...max)).toBeGreaterThan(0.5)
  })

  it('hold the merged maximum', async () => {
    const parts = await Promise.all(sources.map((data) => readScores(file(`${data}-0`))))
    const merged = await readScores(file('merged'))
    expect(merged.max).toEqual(mergeScores(parts).max)
    expect(merged.provenance.sources.map(({ data }) => data)).toEqual(sources)
  })

  it("hold DuoAttention's on-the-fly estimate from the same samples", async () => {
    const committed = await readScores(file('duo-estimate/merged'))
    const parts = await Promise.all(
      sources.map((data) => scoreHeads(model, { method: 'duo-estimate', data, index: 0 })),
    )
    const { max, provenance } = mergeScores(parts)
    expect(Math.max(...max.map((score, i) => Math.abs(score - committed.max[i]!)))).toBeLessThan(tolerance)
    const { created: _, ...known } = committed.provenance
    expect(provenance).toMatchObject(known)
    expect(Math.max(...max) - Math.min(...max)).toBeGreaterThan(0.3)
  })

  it('hold the picture of these scores', async () => {
    const names = [...sources.map((data) => `${data}-0`), 'merged']
    const scores = await Promise.all(names.map((name) => readScores(file(name))))
    expect(readFileSync('reports/nano/heatmap.svg', 'utf8')).toBe(heatmap(panelsOf(scores), { ratio: 0.6 }))
  })

  it('show pairs no worse than heads, and heads than random ones, up to the standard error', () => {
    const rows = JSON.parse(readFileSync('reports/nano/accuracy.json', 'utf8')) as SummaryRow[]
    for (const data of sources) {
      for (const ratio of [0.8, 0.6, 0.4, 0.3, 0.2, 0.1]) {
        const row = (level: string): SummaryRow =>
          rows.find(
            (each) =>
              each.data === data &&
              each.ratio === ratio &&
              each.level === level &&
              (level !== 'head' || each.scores === 'merged'),
          )!
        const [pair, head, random] = [row('pair'), row('head'), row('random')]
        expect(pair.mean).toBeGreaterThanOrEqual(head.mean - head.standardError!)
        // With hardly a head missing, random ones lose as little.
        expect(head.mean).toBeGreaterThanOrEqual(random.mean - (ratio > 0.7 ? head.standardError! : 0))
        expect(row('pair-uniform').samples).toBe(pair.samples)
      }
    }
  })
})

describe('the cheaper sweeps on nano', () => {
  it.each(['chunk', 'block'] as const)('rank the heads nearly as the full one does: %s', async (sweep) => {
    const committed = await readScores(file('sample_qa_eng-0'))
    const { max } = await scoreHeads(model, { data: 'sample_qa_eng', index: 0, sweep })
    expect(max).not.toEqual(committed.max)
    expect(spearman(max, committed.max)).toBeGreaterThan(0.9)
  })
})
