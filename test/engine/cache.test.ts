import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { scratchFolder } from '../scratch.js'
import { randomIds, tinyShape, writeTinyModel } from './tiny.js'

const shape = { ...tinyShape, kvHeads: 3, layers: 3 }
const heads = shape.layers * shape.kvHeads
const prefix = randomIds(5, shape.vocab, 1)
const context = randomIds(200, shape.vocab, 2)
const query = randomIds(9, shape.vocab, 3)
let model: Model

beforeAll(async () => {
  model = await loadModel(writeTinyModel(scratchFolder(), shape))
})
afterAll(() => model.close())

const ask = (kv: Awaited<ReturnType<Model['prefillIds']>>, ids = query, updateCache = false) =>
  model.generateIds(ids, { kv, maxNewTokens: 12, ignoreEos: true, updateCache })

describe('a KV cache', () => {
  it('weighs what its entries weigh', async () => {
    const kv = await model.prefillIds(prefix, context)
    expect(kv.bytes).toBe(heads * 205 * shape.headDim * 2 * 4)
    expect(kv.fullBytes).toBe(kv.bytes)
    expect(kv.info).toMatchObject({ prefix: 5, context: 200, position: 205, evicted: false })
  })

  it('is the same after a query, so that questions may come in any order', async () => {
    const kv = await model.prefillIds(prefix, context)
    const other = randomIds(17, shape.vocab, 4)
    const first = await ask(kv)
    const second = await ask(kv, other)
    expect((await ask(kv, other)).ids).toEqual(second.ids)
    const again = await ask(kv)
    expect(again.ids).toEqual(first.ids)
    expect(again.firstLogits).toEqual(first.firstLogits)
    expect(kv.info.position).toBe(205)
  })

  it('goes on with a conversation when told to keep it', async () => {
    const kv = await model.prefillIds(prefix, context)
    const first = await ask(kv, query, true)
    expect(kv.info.position).toBe(205 + query.length + 12)
    const whole = Int32Array.from([...context, ...query, ...first.ids])
    const next = await ask(kv, query)
    const fresh = await ask(await model.prefillIds(prefix, whole), query)
    expect(next.ids).toEqual(fresh.ids)
  })

  it('frees the context of evicted heads and keeps prefix and query', async () => {
    const keep = Uint8Array.from({ length: heads }, (_, i) => (i % 3 === 0 ? 1 : 0))
    const kv = await model.prefillIds(prefix, context)
    const held = kv.info.allocatedBytes
    const result = kv.pruneHeads(keep)
    const kept = heads / 3
    expect(result).toMatchObject({ keptHeads: kept, heads })
    expect(kv.bytes).toBe((kept * 205 + (heads - kept) * 5) * shape.headDim * 2 * 4)
    expect(kv.info.allocatedBytes).toBeLessThan(held * 0.6)
    const early = await model.prefillIds(prefix, context)
    early.pruneHeads(keep)
    expect((await ask(early)).ids).toEqual((await ask(kv)).ids)
  })

  it('answers as before when every pair is kept, and differently when a lot is gone', async () => {
    const full = await model.prefillIds(prefix, context)
    const all = full.clone()
    all.prunePairs(new Uint8Array(heads * 200).fill(1))
    const none = full.clone()
    none.prunePairs(new Uint8Array(heads * 200))
    const answer = await ask(full)
    expect((await ask(all)).firstLogits).toEqual(answer.firstLogits)
    const bare = await ask(none)
    expect(bare.firstLogits).not.toEqual(answer.firstLogits)
    expect(bare.firstLogits.every(Number.isFinite)).toBe(true)
  })

  it('refuses to be pruned twice, a mask of the wrong size, and use while a job runs or after close', async () => {
    const kv = await model.prefillIds(prefix, context)
    expect(() => kv.pruneHeads(new Uint8Array(heads + 1))).toThrow(/as the scored layers have KV heads/)
    kv.pruneHeads(new Uint8Array(heads).fill(1))
    expect(() => kv.pruneHeads(new Uint8Array(heads).fill(1))).toThrow(/pruned already/)
    const running = ask(kv)
    // The job has long ended by now, but nobody could know: a cache is in use until the promise settles.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    expect(() => kv.clone()).toThrow(/in use/)
    await running
    kv.clone().close()
    kv.close()
    expect(() => kv.info).toThrow(/closed/)
    await expect(ask(kv)).rejects.toThrow(/closed/)
  })
})
