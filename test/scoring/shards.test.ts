import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { decodeScores, encodeScores } from '../../src/scores/arrow.js'
import { mergeScores } from '../../src/scores/merge.js'
import { chunkRange, scoreHeads } from '../../src/scoring/score.js'

describe('scoring the chunks of one context apart', () => {
  let model: Model
  beforeAll(async () => {
    model = await loadModel('nano')
  })
  afterAll(() => model.close())

  const context = Array.from(
    { length: 90 },
    (_, i) => `The pass key of door ${i} is ${(i * 7919) % 1000}.`,
  ).join(' ')
  const options = { context, sweep: 'block' as const, chunkSize: 208 }

  it('merges to the maximum of a single run, bit for bit, and to its source', async () => {
    const whole = await scoreHeads(model, options)
    const shards = []
    for (const index of [1, 0, 2])
      shards.push(await scoreHeads(model, { ...options, chunks: { index, count: 3 } }))
    expect(shards[0]!.provenance.sources[0]?.part).toMatchObject({ of: whole.positions })
    const files = shards.map((scores) => decodeScores(encodeScores(scores), 'file'))
    const merged = mergeScores(files)
    expect(Buffer.from(merged.max.buffer).equals(Buffer.from(whole.max.buffer))).toBe(true)
    expect(merged.positions).toBe(whole.positions)
    expect(merged.provenance.sources).toEqual(whole.provenance.sources)
    for (const [i, mean] of merged.mean!.entries()) expect(mean).toBeCloseTo(whole.mean![i]!, 6)
    expect(() => mergeScores([...files, files[0]!])).toThrow('two inputs hold token 416 of context-0')
    expect(mergeScores([files[1]!]).provenance.sources[0]?.part).toMatchObject({ start: 0 })
  })

  it('is refused where chunks see one another', async () => {
    await expect(
      scoreHeads(model, { ...options, sweep: 'full', chunks: { index: 0, count: 2 } }),
    ).rejects.toThrow('only the sweep block scores chunks apart')
    await expect(
      scoreHeads(model, { ...options, chunkSize: 5000, chunks: { index: 0, count: 2 } }),
    ).rejects.toThrow('context 0 has 1 chunks: none is left for shard 0 of 2')
  })

  it('parts chunks evenly where they start on a panel of keys', () => {
    const ranges = (starts: number[], count: number) =>
      Array.from({ length: count }, (_, index) => chunkRange(starts, { index, count }))
    expect(ranges([0, 2000, 4000, 6000, 8000], 2)).toEqual([
      [0, 2],
      [2, 5],
    ])
    expect(ranges([0, 700, 1400, 2100, 2800], 2)).toEqual([
      [0, 4],
      [4, 5],
    ])
    expect(ranges([0, 7], 3)).toEqual([
      [0, 0],
      [0, 2],
      [2, 2],
    ])
  })
})
