import { describe, expect, test } from 'vitest'
import { mergeScores } from '../../src/scores/merge.js'
import { chunkParts, confidenceBands, convergence, mergeParts } from '../../src/scores/stability.js'
import { makeScores, nanoLike } from './make.js'

const part = (...max: number[]) => ({ max: Float32Array.from(max), mean: null, positions: 10 })

describe('parts', () => {
  test('merge as scores do', () => {
    const list = [nanoLike('a', 0), nanoLike('b', 1)]
    const [parts, scores] = [mergeParts(list), mergeScores(list)]
    expect(parts.max).toEqual(scores.max)
    for (const [cell, mean] of scores.mean!.entries()) expect(parts.mean![cell]).toBeCloseTo(mean, 6)
    expect(parts.positions).toBe(scores.positions)
  })

  test('are the chunks of pair scores, the last one shorter', () => {
    const pairs = Float32Array.from({ length: 6 * 10 }, (_, i) => (i % 10) / 10 + (i >= 30 ? 0.01 : 0))
    const parts = chunkParts(makeScores({ pairs }), 4)
    expect(parts.map(({ positions }) => positions)).toEqual([4, 4, 2])
    expect(parts.map(({ max }) => max[0])).toEqual([0.3, 0.7, 0.9].map(Math.fround))
    expect(parts[2]!.mean![0]).toBeCloseTo(0.85, 6)
    expect(parts[1]!.max[5]).toBe(Math.fround(0.71))
    const whole = mergeParts(parts)
    expect(whole.positions).toBe(10)
    expect(whole.mean![0]).toBeCloseTo(0.45, 6)
  })

  test('need pair scores', () => {
    expect(() => chunkParts(makeScores(), 4)).toThrow('score with --pairs')
    expect(() => chunkParts(makeScores({ pairs: new Float32Array(60) }), 0)).toThrow(
      'chunkSize must be a positive integer, got 0',
    )
    expect(() => convergence([])).toThrow('nothing to merge')
  })
})

describe('convergence', () => {
  test('agrees with the end at the end, and tells when a late part brings a head', () => {
    const parts = [part(0.9, 0.5, 0.1, 0.2), part(0.1, 0.6, 0.2, 0.1), part(0.1, 0.1, 1, 0.3)]
    const steps = convergence(parts, { ratio: 0.5, orders: 1 })
    expect(steps.map((step) => step.parts)).toEqual([1, 2, 3])
    expect(steps.map((step) => step.overlap.mean)).toEqual([0.5, 0.5, 1])
    expect(steps[2]!.spearman).toEqual({ mean: 1, least: 1, most: 1 })
    // 0.9 0.5 0.1 0.2 against 0.9 0.6 1 0.3: ranks 4 3 1 2 and 3 2 4 1
    expect(steps[0]!.spearman.mean).toBeCloseTo(-0.2, 6)
  })

  test('spreads over orders: the same seed, the same spread', () => {
    const parts = [0, 0.1, 0.2].map((shift) => nanoLike('a', shift))
    const steps = convergence(parts, { orders: 10, seed: 3 })
    expect(steps).toEqual(convergence(parts, { orders: 10, seed: 3 }))
    const { least, mean, most } = steps[0]!.spearman
    expect(least).toBeLessThan(mean)
    expect(mean).toBeLessThan(most)
    expect(steps.at(-1)!.overlap).toEqual({ mean: 1, least: 1, most: 1 })
  })
})

describe('confidence bands', () => {
  test('are points where parts agree, and wide where one part alone brings the score', () => {
    const bands = confidenceBands([part(0.5, 0.2), part(0.5, 0.9), part(0.5, 0.2), part(0.5, 0.2)], {
      ratio: 0.5,
      seed: 5,
    })
    expect(bands[0]).toMatchObject({ low: 0.5, high: 0.5 })
    expect(bands[1]).toMatchObject({ low: Math.fround(0.2), high: Math.fround(0.9) })
    // The head of 0.9 is drawn in 1 - (3/4)^4 = 68% of the draws; both cannot be kept.
    expect(bands[1]!.kept).toBeGreaterThan(0.58)
    expect(bands[1]!.kept).toBeLessThan(0.78)
    expect(bands[0]!.kept + bands[1]!.kept).toBeCloseTo(1, 9)
  })
})
