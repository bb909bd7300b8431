import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import type { PrefillOptions } from '../../src/inference/prefill.js'
import type { HeadScores } from '../../src/scores/head-scores.js'
import { randomIds, wideKvShape as shape, writeTinyModel } from '../engine/tiny.js'
import { randomScores } from '../scores/make.js'
import { scratchFolder } from '../scratch.js'

// 24 KiB of KV a token for little work: what else the process does is small beside 94 MiB.
const heads = shape.layers * shape.kvHeads
const entry = shape.headDim * 2 * 4
const prefix = randomIds(64, shape.vocab, 1)
const context = randomIds(3936, shape.vocab, 2)
const tokens = prefix.length + context.length
const layerBytes = tokens * shape.kvHeads * entry
const mebi = 2 ** 20
/** What a tile works in, and what JavaScript's own memory moves by. */
const slack = 8 * mebi

let model: Model
let scores: HeadScores

beforeAll(async () => {
  model = await loadModel(writeTinyModel(scratchFolder(), shape))
  scores = randomScores(shape.layers, shape.kvHeads, 7)
  // Code, threads and rotary angles are there before anything is measured.
  const kv = await model.prefillIds(prefix, context, { prefillChunk: 128 })
  kv.close()
})
afterAll(() => model.close())

/** Bytes by which the process grows while it reads the context, at most and in the end; and what it tells of them. */
async function measure(options: PrefillOptions) {
  const resident = (): number => process.memoryUsage.rss()
  const before = resident()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, resident())
  }, 1)
  const kv = await model.prefillIds(prefix, context, { prefillChunk: 128, ...options })
  clearInterval(timer)
  const after = resident()
  const { bytes, fullBytes, peakBytes } = kv
  kv.close()
  return { peak: Math.max(peak, after) - before, held: after - before, bytes, fullBytes, peakBytes }
}

it('the process holds what the cache says: at ratio 0.6 of heads, 0.61 of the full cache and the prefix', async () => {
  const evicted = await measure({ scores, ratio: 0.6 })
  const full = await measure({})
  // The measure sees the whole cache: all of it is resident.
  expect(full.bytes).toBe(shape.layers * layerBytes)
  expect(full.held).toBeGreaterThan(0.95 * full.bytes)
  expect(full.held).toBeLessThan(full.bytes + slack)

  const most = 0.61 * full.bytes + heads * prefix.length * entry
  expect(evicted.bytes).toBeLessThanOrEqual(most)
  expect(evicted.held).toBeLessThanOrEqual(most + slack)
  expect(evicted.held).toBeGreaterThan(0.95 * evicted.bytes)
  // While it reads: what is kept and one layer.
  expect(evicted.peakBytes).toBeLessThan(evicted.bytes + layerBytes + slack)
  expect(evicted.peak).toBeLessThan(evicted.bytes + layerBytes + slack)
  expect(evicted.peak).toBeLessThan(0.9 * full.held)
})
