import { describe, expect, it } from 'vitest'
import { duoEstimate } from '../../src/scoring/duo-estimate.js'
import { expected, largestDifference } from './expected.js'

const floats = (values: readonly number[]): Float32Array => Float32Array.from(values)
const pair = { heads: 1, kvHeads: 1, headDim: 2 }

describe("DuoAttention's on-the-fly estimate", () => {
  it.each(expected.heads)('is the area under the summed attention where $name', (head) => {
    const { invFreq, scale, length } = head
    const means = { queries: floats(head.queries), keys: floats(head.keys) }
    const found = duoEstimate({ ...means, rope: { invFreq: floats(invFreq), scale } }, head, length)
    expect(largestDifference(found, head.scores)).toBeLessThan(1e-6)
  })

  it('is the same where neighbours rotate together instead of halves', () => {
    const [head] = expected.heads
    const { headDim } = head!
    const interleave = (values: number[]): Float32Array =>
      floats(
        values.map((_, i) => {
          const at = i % headDim
          return values[i - at + Math.floor(at / 2) + (at % 2 ? headDim / 2 : 0)]!
        }),
      )
    const rope = { invFreq: floats(head!.invFreq), scale: head!.scale, adjacent: true }
    const means = { queries: interleave(head!.queries), keys: interleave(head!.keys) }
    expect(largestDifference(duoEstimate({ ...means, rope }, head!), head!.scores)).toBeLessThan(1e-6)
  })

  it('runs from 1 / length for a head that sees itself to 1 for one that sees the oldest key', () => {
    const length = 50
    const rope = { invFreq: floats([Math.PI / (length - 1)]), scale: 1 }
    const of = (query: number, key: number): number =>
      duoEstimate({ queries: floats([query, 0]), keys: floats([key, 0]), rope }, pair, length)[0]!
    expect(of(300, 300)).toBeCloseTo(1 / length, 6)
    expect(of(300, -300)).toBeCloseTo(1, 6)
    expect(of(0, 300)).toBeCloseTo((length + 1) / (2 * length), 6)
  })

  it('stays finite where logits are huge', () => {
    const rope = { invFreq: floats([1]), scale: 1 }
    const [score] = duoEstimate({ queries: floats([1e15, 1e15]), keys: floats([1e15, 0]), rope }, pair)
    expect(score).toBeGreaterThan(0)
    expect(score).toBeLessThanOrEqual(1)
  })

  it('refuses means of another shape', () => {
    const rope = { invFreq: floats([1]), scale: 1 }
    expect(() => duoEstimate({ queries: floats([1, 2]), keys: floats([1]), rope }, pair)).toThrow(
      /^1 mean queries and 1 mean keys of 2 values are needed, got 2 and 1 values$/,
    )
  })
})
