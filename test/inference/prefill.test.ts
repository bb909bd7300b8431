import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import type { HeadScores } from '../../src/scores/head-scores.js'
import { chunksOf, randomIds, wideKvShape as shape, writeTinyModel } from '../engine/tiny.js'
import { randomScores } from '../scores/make.js'
import { scratchFolder } from '../scratch.js'

const heads = shape.layers * shape.kvHeads
const entry = shape.headDim * 2 * 4
const prefix = randomIds(4, shape.vocab, 1)
const context = randomIds(1200, shape.vocab, 2)
const tokens = prefix.length + context.length
const layerBytes = tokens * shape.kvHeads * entry
const mebi = 2 ** 20
let model: Model
let scores: HeadScores

beforeAll(async () => {
  model = await loadModel(writeTinyModel(scratchFolder(), shape))
  scores = randomScores(shape.layers, shape.kvHeads, 7)
})
afterAll(() => model.close())

const prefillChunk = 96
/** Hidden states, and what a tile of 96 rows works in. */
const tiles = tokens * shape.hidden * 4 + 4 * mebi

describe('evicting while prefilling', () => {
  it('needs at its peak what is kept, one layer and a tile', async () => {
    const full = await model.prefillIds(prefix, context, { prefillChunk })
    expect(full.bytes).toBe(shape.layers * layerBytes)
    expect(full.peakBytes).toBeGreaterThan(full.bytes)
    expect(full.peakBytes).toBeLessThan(full.bytes + tiles)
    full.close()
    const kv = await model.prefillIds(prefix, context, { scores, ratio: 0.6, prefillChunk })
    expect(kv.keptHeads).toBe(29) // round(48 * 0.6)
    expect(kv.bytes).toBe((29 * tokens + 19 * prefix.length) * entry)
    expect(kv.bytes).toBeLessThanOrEqual(0.61 * kv.fullBytes + heads * prefix.length * entry)
    expect(kv.peakBytes).toBeLessThan(kv.bytes + layerBytes + tiles)
    expect(kv.peakBytes).toBeLessThan(0.85 * kv.fullBytes + tiles)
    // Buffers are as long as their entries: nothing is held in vain.
    expect(kv.info.allocatedBytes).toBeLessThan(kv.bytes + heads * 64 * entry)
    kv.close()
  })

  it('does so at level streaming and, scored on the way, at level pair-uniform', async () => {
    const streaming = await model.prefillIds(prefix, context, {
      level: 'streaming',
      scores,
      ratio: 0.25,
      prefillChunk,
    })
    expect(streaming.bytes).toBe((12 * tokens + 36 * (128 + 256)) * entry)
    expect(streaming.peakBytes).toBeLessThan(streaming.bytes + layerBytes + tiles)
    streaming.close()
    const chunks = chunksOf(context, 400, prefix)
    const uniform = await model.prefillIds(prefix, context, {
      level: 'pair-uniform',
      ratio: 0.25,
      chunks,
      sweep: 'block',
      prefillChunk,
    })
    expect(uniform.bytes).toBe(heads * (300 + prefix.length) * entry)
    // Hidden states of the repetition, and KV of one of its chunks.
    const repeat = (context.length + 3 * prefix.length) * shape.hidden * 4 + 420 * shape.kvHeads * entry
    expect(uniform.peakBytes).toBeLessThan(uniform.bytes + layerBytes + tiles + repeat)
    expect(uniform.peakBytes).toBeLessThan(0.8 * uniform.fullBytes)
    uniform.close()
  })

  it('gives the memory back to the system, as pruning later does', async () => {
    const resident = (): number => process.memoryUsage.rss()
    const full = await model.prefillIds(prefix, randomIds(2000, shape.vocab, 4), { scores })
    const [before, held] = [resident(), full.info.allocatedBytes]
    full.prune({ level: 'head', ratio: 0.25 })
    const freed = held - full.info.allocatedBytes
    expect(freed).toBeGreaterThan(30 * mebi)
    expect(before - resident()).toBeGreaterThan(0.85 * freed)
    full.close()
    expect(before - resident()).toBeGreaterThan(0.9 * held)
  })

  it('keeps heads of one answer apart: a query adds only its own entries while it runs', async () => {
    const kv = await model.prefillIds(prefix, context, { scores, ratio: 0.25 })
    const { allocatedBytes } = kv.info
    await model.generateIds(prefix, { kv, maxNewTokens: 20, ignoreEos: true })
    expect(kv.info.allocatedBytes).toBe(allocatedBytes)
    await model.generateIds(prefix, { kv, maxNewTokens: 20, ignoreEos: true, updateCache: true })
    expect(kv.bytes).toBe((12 * tokens + 36 * prefix.length + heads * 24) * entry)
    expect(kv.info.allocatedBytes).toBeLessThan(kv.bytes * 1.3 + heads * 64 * entry)
    kv.close()
  })
})

describe('prefillChunk', () => {
  it('bounds the rows of a pass and with them the work buffers, and changes nothing else', async () => {
    const part = context.subarray(0, 600)
    const kv = await model.prefillIds(prefix, part)
    const [logits, peak] = [kv.lastLogits, kv.peakBytes]
    expect(Math.max(...logits)).toBeGreaterThan(0.05)
    kv.close()
    for (const rows of [64, 1]) {
      const small = await model.prefillIds(prefix, part, { prefillChunk: rows })
      for (const [i, logit] of logits.entries()) expect(small.lastLogits[i]).toBeCloseTo(logit, 4)
      // Of each row fewer: q and attended of 8 heads of 64, k, v, and what is smaller.
      const row = (4 * 512 + 3 * 16) * 4
      expect(peak - small.peakBytes).toBeGreaterThan(0.95 * (600 - rows) * row)
      small.close()
    }
  })

  it('works with every level', async () => {
    const chunks = chunksOf(context.subarray(0, 300), 100, prefix)
    const part = context.subarray(0, 300)
    const options = { level: 'pair', ratio: 0.5, chunks } as const
    const a = await model.prefillIds(prefix, part, options)
    const b = await model.prefillIds(prefix, part, { ...options, prefillChunk: 37 })
    for (const [i, score] of a.pairScores!.values.entries())
      expect(b.pairScores!.values[i]).toBeCloseTo(score, 5)
  })
})

describe('a prefill', () => {
  it('tells how far it is, ends at 1, and stops when aborted', async () => {
    const seen: number[] = []
    const long = randomIds(1500, shape.vocab, 3)
    const kv = await model.prefillIds(prefix, long, { onProgress: ({ done }) => seen.push(done) })
    kv.close()
    expect(seen.at(-1)).toBe(1)
    expect(seen.every((done, i) => done >= (seen[i - 1] ?? 0) && done <= 1)).toBe(true)
    const aborted = model.prefillIds(prefix, long, { signal: AbortSignal.timeout(20) })
    await expect(aborted).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
  })

  it("past the model's positions is refused with one sentence, with the room that a repetition needs", async () => {
    const small = await loadModel(writeTinyModel(scratchFolder(), { ...shape, positions: 120 }))
    const part = context.subarray(0, 117)
    await expect(small.prefillIds(prefix, part)).rejects.toThrow(
      /^the context has 117 tokens and needs 121 positions, but \S+ has 120; --max-context \d+ cuts its middle out, or /,
    )
    const chunks = chunksOf(context.subarray(0, 100), 50, prefix)
    await expect(
      small.prefillIds(prefix, context.subarray(0, 100), { level: 'pair', chunks }),
    ).rejects.toThrow(
      /^the context has 100 tokens and needs 158 positions with its repetition, but \S+ has 120; --max-context \d+ cuts /,
    )
    small.close()
  })
})
