import { describe, expect, test } from 'vitest'
import { importDuo } from '../../src/formats/duo.js'
import { importKvzip } from '../../src/formats/kvzip-pt.js'
import { averageRanks, spearman, topShareOverlap } from '../../src/scores/compare.js'
import { makeScores } from './make.js'

const published = 'test/fixtures/published'

describe('Spearman', () => {
  test('is 1 for the same order, -1 for the reverse, 0.8 for the textbook pair', () => {
    expect(spearman([1, 2, 3], [10, 20, 90])).toBe(1)
    expect(spearman([1, 2, 3], [9, 5, 1])).toBe(-1)
    expect(spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])).toBeCloseTo(0.8, 12)
  })

  test('gives ties the mean of their ranks', () => {
    expect(Array.from(averageRanks([7, 3, 7, 7, 1]))).toEqual([4, 2, 4, 4, 1])
    expect(spearman([1, 1, 2, 2], [1, 2, 3, 3])).toBeCloseTo(0.9428, 4)
  })

  test('is NaN when one side has no order', () => {
    expect(spearman([1, 1, 1], [1, 2, 3])).toBeNaN()
  })
})

describe('on published scores', () => {
  test('qwen2.5-7b: natural language against code is 0.90', async () => {
    const qa = await importKvzip(`${published}/kvzip/qwen2.5-7b-scbench_qa_eng-0.pt`)
    const repo = await importKvzip(`${published}/kvzip/qwen2.5-7b-scbench_repoqa-0.pt`)
    expect(spearman(qa.max, repo.max)).toBeCloseTo(0.9, 2)
  })

  test('llama3.1-8b: KVzip against DuoAttention is 0.56, 95 of the top 128 heads agree', async () => {
    const kvzip = await importKvzip(`${published}/kvzip/llama3.1-8b-scbench_qa_eng-0.pt`)
    const duo = await importDuo(`${published}/duo/Meta-Llama-3.1-8B-Instruct`)
    expect(spearman(kvzip.max, duo.max)).toBeCloseTo(0.56, 2)
    expect(topShareOverlap(kvzip, duo, 0.5)).toBe(95 / 128)
  })
})

test('different heads are not compared', () => {
  expect(() => topShareOverlap(makeScores(), makeScores({ layerIds: Int32Array.of(0, 2) }), 0.5)).toThrow(
    'sample_qa_eng-0 (2 x 3) and sample_qa_eng-0 (2 x 3) do not score the same heads',
  )
})
