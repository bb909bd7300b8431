import { describe, expect, test } from 'vitest'
import { importKvzip } from '../../src/formats/kvzip-pt.js'
import { mergeScores } from '../../src/scores/merge.js'
import { randomHeads, selectHeads, selectPairs } from '../../src/scores/select.js'
import { makeScores } from './make.js'

const published = 'test/fixtures/published/kvzip'
const qwen = mergeScores([
  await importKvzip(`${published}/qwen2.5-7b-scbench_qa_eng-0.pt`),
  await importKvzip(`${published}/qwen2.5-7b-scbench_repoqa-0.pt`),
])

describe('the published qwen2.5-7b scores', () => {
  test('have 33 of 112 heads at exactly 1', () => {
    expect(qwen.max).toHaveLength(112)
    expect(qwen.max.filter((score) => score === 1)).toHaveLength(33)
  })

  test('keep no head at 0.25 by the published rule, 28 by the exact one', () => {
    expect(selectHeads(qwen, { ratio: 0.25, rule: 'published' })).toMatchObject({ kept: 0, threshold: 1 })
    const exact = selectHeads(qwen, { ratio: 0.25 })
    expect(exact).toMatchObject({ kept: 28, threshold: 1 })
    expect(exact.keep.filter((flag) => flag === 1)).toHaveLength(28)
  })

  test('keep by the published rule what is above the head that holds pair floor(n * positions * ratio) - 1', () => {
    const { keep, kept, threshold } = selectHeads(qwen, { ratio: 0.6, rule: 'published' })
    expect(threshold).toBe(qwen.max.toSorted().at(-68))
    expect(kept).toBe(qwen.max.filter((score) => score > threshold).length)
    expect(Array.from(keep)).toEqual(Array.from(qwen.max, (score) => Number(score > threshold)))
  })
})

describe('the published rule for heads', () => {
  test.each([0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9])(
    'keeps at %f what it keeps of pairs that carry their head',
    (ratio) => {
      const positions = 50
      const max = Float32Array.from({ length: 30 }, (_, i) => ((i * 7) % 30) / 30)
      const pairs = Float32Array.from({ length: 30 * positions }, (_, i) => max[Math.floor(i / positions)]!)
      const shape = { layers: 6, kvHeads: 5, positions }
      const byPair = selectPairs(pairs, shape, { ratio, rule: 'published' }).keep
      const byHead = selectHeads({ max, mean: null }, { ratio, rule: 'published' }).keep
      expect(Array.from(byHead)).toEqual(Array.from(max, (_, head) => byPair[head * positions]))
    },
  )
})

describe('exact selection of heads', () => {
  const kept = (ratio: number, mean = makeScores().mean) =>
    Array.from(selectHeads({ max: makeScores().max, mean }, { ratio }).keep)

  test('breaks ties by the mean, then by layer and head', () => {
    expect(kept(1 / 6)).toEqual([0, 0, 0, 1, 0, 0])
    expect(kept(1 / 6, null)).toEqual([1, 0, 0, 0, 0, 0])
  })

  test('keeps round(n * ratio), none when that is 0', () => {
    expect(kept(0.6)).toEqual([1, 1, 1, 1, 0, 0])
    expect(kept(1)).toEqual([1, 1, 1, 1, 1, 1])
    expect(selectHeads(makeScores(), { ratio: 0.05 })).toEqual({
      keep: new Uint8Array(6),
      kept: 0,
      threshold: Number.POSITIVE_INFINITY,
    })
  })

  test.each([0, 1.5, Number.NaN, -0.1])('refuses ratio %s', (ratio) => {
    expect(() => selectHeads(makeScores(), { ratio })).toThrow(
      `ratio must be a number in (0, 1], got ${ratio}`,
    )
  })

  test('refuses a rule it does not know', () => {
    expect(() => selectHeads(makeScores(), { ratio: 0.5, rule: 'best' as 'exact' })).toThrow(
      "rule must be 'exact' or 'published', got 'best'",
    )
  })
})

describe('selection of pairs', () => {
  const shape = { layers: 1, kvHeads: 2, positions: 4 }
  const pairs = Float32Array.of(0.5, 0.9, 0.5, 0.1, 0.5, 0.2, 0.8, 0.5)

  test('keeps the best over all heads, ties by layer, head and position', () => {
    expect(selectPairs(pairs, shape, { ratio: 0.5 })).toEqual({
      keep: Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 0),
      kept: 4,
      threshold: 0.5,
    })
  })

  test('keeps by the published rule what is strictly above the threshold', () => {
    expect(selectPairs(pairs, shape, { ratio: 0.5, rule: 'published' })).toEqual({
      keep: Uint8Array.of(0, 1, 0, 0, 0, 0, 1, 0),
      kept: 2,
      threshold: 0.5,
    })
    expect(selectPairs(pairs, shape, { ratio: 1, rule: 'published' }).kept).toBe(8)
  })

  test('keeps the same share of every head when uniform', () => {
    const { keep, kept } = selectPairs(pairs, shape, { ratio: 0.25, uniform: true })
    expect([Array.from(keep), kept]).toEqual([[0, 1, 0, 0, 0, 0, 1, 0], 2])
  })

  test('of three million takes less than three seconds and keeps exactly the share', () => {
    const many = { layers: 28, kvHeads: 4, positions: 26_786 }
    const values = Float32Array.from({ length: 28 * 4 * 26_786 }, (_, i) => ((i * 2654435761) % 4093) / 4093)
    const start = performance.now()
    const { keep, kept } = selectPairs(values, many, { ratio: 0.3 })
    expect(performance.now() - start).toBeLessThan(3000)
    expect(kept).toBe(Math.round(values.length * 0.3))
    expect(keep.reduce((sum, flag) => sum + flag, 0)).toBe(kept)
  })

  test('refuses a shape that does not fit', () => {
    expect(() => selectPairs(pairs, { ...shape, positions: 5 }, { ratio: 0.5 })).toThrow(
      'pairs must be 2 x 5 scores, got 8',
    )
  })
})

describe('random heads', () => {
  const shape = { layers: 6, kvHeads: 4 }
  test('are as many as asked, the same for the same seed, others for another', () => {
    const draw = randomHeads(shape, 0.6, 1)
    expect(draw.filter((flag) => flag === 1)).toHaveLength(14)
    expect(randomHeads(shape, 0.6, 1)).toEqual(draw)
    expect(randomHeads(shape, 0.6, 2)).not.toEqual(draw)
  })

  test('are drawn evenly: each head about 600 times in 1,000', () => {
    const counts = new Array<number>(24).fill(0)
    for (let seed = 0; seed < 1000; seed++)
      randomHeads(shape, 14 / 24, seed).forEach((flag, cell) => {
        counts[cell]! += flag
      })
    // 583 expected, standard deviation 15.6
    expect(Math.min(...counts)).toBeGreaterThan(520)
    expect(Math.max(...counts)).toBeLessThan(646)
  })
})
