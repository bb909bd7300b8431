import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KvCache } from '../../src/inference/kv-cache.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { shuffled, writeTinyChat } from './tiny-chat.js'

const profile =
  'This is my basic profile. My name is Kim living in Seoul. My major is computer science. ' +
  'The favorite sport of Helen is tennis. The favorite color of Omar is green. Dana was born in Oslo.'
let nano: Model
let tiny: Model

beforeAll(async () => {
  nano = await loadModel('nano')
  tiny = await loadModel(writeTinyChat())
})
afterAll(() => {
  nano.close()
  tiny.close()
})

const questions = Array.from(
  { length: 50 },
  (_, i) =>
    `${['What is my name', 'Where do I live', 'What is the favorite sport of Helen', 'Where was Dana born', 'What is my major'][i % 5]}${' please'.repeat(i / 5)}?`,
)

describe('one cache', () => {
  it('answers 50 questions, asked twice in shuffled order, the same both times', async () => {
    const kv = await nano.prefill(profile, { level: 'pair', ratio: 0.7 })
    const lengths = kv.native.lengths()
    const seen = new Map<string, { text: string; firstLogits: Float32Array }>()
    for (const query of shuffled(questions, 1))
      seen.set(query, await nano.generate(query, { kv, maxNewTokens: 6 }))
    for (const query of shuffled(questions, 2)) {
      const { text, firstLogits } = await nano.generate(query, { kv, maxNewTokens: 6 })
      expect(text).toBe(seen.get(query)!.text)
      expect(firstLogits).toEqual(seen.get(query)!.firstLogits)
    }
    expect(seen.get('What is my name?')!.text).toBe('Kim')
    expect(new Set([...seen.values()].map(({ text }) => text)).size).toBeGreaterThanOrEqual(5)
    expect(kv.native.lengths()).toEqual(lengths)
  })

  it('serves several callers at once, each with its own answer', async () => {
    const kv = await tiny.prefill(profile)
    const ask = (query: string) => tiny.generate(query, { kv, maxNewTokens: 8 })
    const alone: string[] = []
    for (const query of questions) alone.push((await ask(query)).text)
    const together = await Promise.all(questions.map(ask))
    expect(together.map(({ text }) => text)).toEqual(alone)
    // While some read, nobody may change it.
    const reading = ask('What is my name?')
    expect(() => kv.pruneHeads(new Uint8Array(6).fill(1))).toThrow(/in use by a running job/)
    await expect(tiny.generate('And?', { kv, updateCache: true })).rejects.toThrow(/in use by a running job/)
    expect(() => kv.close()).toThrow(/in use/)
    expect(kv.info.position).toBeGreaterThan(0)
    await reading
    const changing = tiny.generate('And?', { kv, updateCache: true, maxNewTokens: 4 })
    await expect(ask('What is my name?')).rejects.toThrow(/in use by a running job/)
    await changing
    kv.close()
  })

  it('keeps memory flat over 2,000 queries', async () => {
    const kv = await tiny.prefill(profile.repeat(4))
    const resident: number[] = []
    for (let i = 0; i < 2000; i++) {
      await tiny.generate(questions[i % 50]!, { kv, maxNewTokens: 2 })
      if (i % 250 === 249) resident.push(process.memoryUsage.rss() / 2 ** 20)
    }
    // A leak of one query's KV (2 layers x 3 heads x 20 tokens of 80 bytes) a query would show as 14 MB.
    const late = resident.slice(4)
    expect(Math.min(...late) - resident[2]!).toBeLessThan(6)
  })

  it('is as before when a query is aborted, fails or is too long', async () => {
    const kv = await tiny.prefill(profile)
    const before = await tiny.generate('What is my name?', { kv, maxNewTokens: 8 })
    const aborted = tiny.generate('Tell me more', {
      kv,
      maxNewTokens: 3000,
      ignoreEos: true,
      updateCache: true,
      signal: AbortSignal.timeout(30),
    })
    await expect(aborted).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
    await expect(tiny.generate('long '.repeat(5000), { kv })).rejects.toThrow(
      /^the context with the query needs \d+ positions, but the model has 4096$/,
    )
    await expect(tiny.generate(' ', { kv })).rejects.toThrow(/query is empty/)
    await expect(tiny.generate('x', { kv, maxNewTokens: 0 })).rejects.toThrow(/^maxNewTokens must be/)
    const after = await tiny.generate('What is my name?', { kv, maxNewTokens: 8 })
    expect(after.firstLogits).toEqual(before.firstLogits)
  })

  it('belongs to its model', async () => {
    const kv = await tiny.prefill(profile)
    await expect(nano.generate('What is my name?', { kv })).rejects.toThrow(
      'this cache belongs to another model',
    )
  })
})

describe('a batch', () => {
  const expectSingle = async (model: Model, kv: KvCache, list: string[], maxNewTokens: number) => {
    const batch = await model.generateBatch(list, { kv, maxNewTokens })
    expect(batch.length).toBe(list.length)
    for (const [i, query] of list.entries()) {
      const single = await model.generate(query, { kv, maxNewTokens })
      expect(batch[i]!.ids).toEqual(single.ids)
      expect(batch[i]!.text).toBe(single.text)
      expect(batch[i]!.finishReason).toBe(single.finishReason)
    }
  }

  it('of 20 queries gives each the answer that it gets alone, at every level', async () => {
    const scores = 'head_scores/nano/merged.arrow'
    const kv = await nano.prefill(profile, { level: 'pair', kind: 'retain' })
    const withHeads = await nano.prefill(profile, { scores, kind: 'retain' })
    const list = shuffled(questions, 3).slice(0, 20)
    await expectSingle(nano, kv, list, 12)
    kv.prune({ level: 'pair', ratio: 0.5 })
    await expectSingle(nano, kv, list, 12)
    withHeads.prune({ level: 'head', ratio: 0.6 })
    await expectSingle(nano, withHeads, list, 12)
    withHeads.prune({ level: 'streaming', ratio: 0.3, sink: 8, recent: 12 })
    await expectSingle(nano, withHeads, list, 12)
  })

  it('leaves the cache as it was, and each query may have its own options', async () => {
    const kv = await tiny.prefill(profile)
    const lengths = kv.native.lengths()
    const stopped = new AbortController()
    stopped.abort()
    const made = await tiny.generateBatch(
      [
        'What is my name?',
        { query: 'What is my name?', maxNewTokens: 3 },
        { query: 'What is my name?', temperature: 1.5, seed: 5 },
        { query: 'What is my name?', maxNewTokens: 200, signal: stopped.signal },
      ],
      { kv, maxNewTokens: 10, ignoreEos: true },
    )
    expect(made.slice(0, 3).map(({ ids }) => ids.length)).toEqual([10, 3, 10])
    // It is told to end while it runs already: how far it gets is a matter of moments.
    expect(made[3]!.ids.length).toBeLessThan(200)
    expect(made.map(({ finishReason }) => finishReason)).toEqual(['length', 'length', 'length', 'aborted'])
    expect(made[1]!.ids).toEqual(made[0]!.ids.slice(0, 3))
    const drawn = await tiny.generate('What is my name?', {
      kv,
      maxNewTokens: 10,
      ignoreEos: true,
      temperature: 1.5,
      seed: 5,
    })
    expect(made[2]!.ids).toEqual(drawn.ids)
    expect(made[2]!.ids).not.toEqual(made[0]!.ids)
    expect(kv.native.lengths()).toEqual(lengths)
    expect(await tiny.generateBatch([], { kv })).toEqual([])
  })

  it('stops as a whole when aborted, and refuses all for one bad query', async () => {
    const kv = await tiny.prefill(profile)
    const running = tiny.generateBatch(questions.slice(0, 8), {
      kv,
      maxNewTokens: 3000,
      ignoreEos: true,
      signal: AbortSignal.timeout(30),
    })
    await expect(running).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
    await expect(tiny.generateBatch(['Fine?', ' '], { kv })).rejects.toThrow(/query is empty/)
    await expect(tiny.generateBatch([{ query: 'Fine?', topP: 2 }], { kv })).rejects.toThrow(
      'topP must be a number in (0, 1], got 2',
    )
    expect((await tiny.generate('Fine?', { kv, maxNewTokens: 2 })).ids.length).toBeLessThanOrEqual(2)
  })
})

describe('log-probabilities of an answer', () => {
  it('are those of its tokens one by one, and high for what the model says itself', async () => {
    const kv = await nano.prefill(profile)
    const query = 'What is my major?'
    const { ids, logProbs } = await nano.logProbs(query, 'computer science', { kv })
    expect(logProbs.length).toBe(ids.length)
    const queryIds = await (await nano.prompts).queryIds(query)
    for (const [i, id] of ids.entries()) {
      const before = Int32Array.from([...queryIds, ...ids.subarray(0, i)])
      const { firstLogits } = await nano.generateIds(before, { kv, maxNewTokens: 1 })
      const peak = Math.max(...firstLogits)
      const total = firstLogits.reduce((sum, logit) => sum + Math.exp(logit - peak), 0)
      expect(logProbs[i]).toBeCloseTo(firstLogits[id]! - peak - Math.log(total), 3)
    }
    const sum = (list: Float32Array): number => list.reduce((a, b) => a + b, 0)
    expect(sum(logProbs)).toBeGreaterThan(-0.5)
    const other = await nano.logProbs(query, 'green tennis', { kv })
    expect(sum(other.logProbs)).toBeLessThan(-5)
    await expect(nano.logProbs(query, '', { kv })).rejects.toThrow('the answer is empty')
    const position = kv.info.position
    await expect(nano.logProbs(query, 'long '.repeat(9000), { kv })).rejects.toThrow(/needs \d+ positions/)
    expect(kv.info.position).toBe(position)
  })
})
