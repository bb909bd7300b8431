import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { KvCache } from '../../src/inference/kv-cache.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { writeTinyChat } from './tiny-chat.js'

const query = 'What is my name?'
const long = { maxNewTokens: 60, ignoreEos: true }
let model: Model
let kv: KvCache
let whole: string

beforeAll(async () => {
  model = await loadModel(writeTinyChat())
  kv = await model.prefill('My name is Kim.')
  whole = (await model.generate(query, { kv, ...long })).text
})
afterAll(() => model.close())

async function collect(stream: AsyncGenerator<string, { text: string }, void>, pause = 0) {
  const pieces: string[] = []
  for (;;) {
    const { value, done } = await stream.next()
    if (done) return { pieces, result: value }
    pieces.push(value)
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

describe('a stream', () => {
  it('yields the text of the answer and returns the generation', async () => {
    const { pieces, result } = await collect(model.stream(query, { kv, ...long }))
    expect(pieces.join('')).toBe(whole)
    expect(pieces.every((piece) => piece !== '')).toBe(true)
    expect(result).toMatchObject({ text: whole, finishReason: 'length' })
  })

  it('loses nothing to a slow reader', async () => {
    const { pieces } = await collect(model.stream(query, { kv, ...long }), 40)
    expect(pieces.join('')).toBe(whole)
  })

  it('ends its job when the loop is left early, and the cache is free and as before', async () => {
    const job = vi.spyOn(model, 'generate')
    for await (const piece of model.stream(query, { kv, maxNewTokens: 4000, ignoreEos: true })) {
      const length = Math.min(piece.length, whole.length)
      expect(piece.slice(0, length)).toBe(whole.slice(0, length))
      break
    }
    await expect(job.mock.results[0]!.value).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
    job.mockRestore()
    kv.clone().close() // nothing reads it any more
    expect((await model.generate(query, { kv, ...long })).text).toBe(whole)
  })

  it('throws what the job throws: an abort, a bad option, an empty query', async () => {
    const aborted = collect(
      model.stream(query, { kv, maxNewTokens: 4000, ignoreEos: true, signal: AbortSignal.timeout(30) }),
    )
    await expect(aborted).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
    const never = collect(model.stream(query, { kv, signal: AbortSignal.abort() }))
    await expect(never).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
    await expect(collect(model.stream(query, { kv, topK: -1 }))).rejects.toThrow(/^topK must be/)
    await expect(collect(model.stream('  ', { kv }))).rejects.toThrow(/query is empty/)
  })
})

describe('a stop string', () => {
  // Somewhere in the middle, over the border of two tokens or not.
  const cut = (): string => whole.slice(20, 26)

  it('ends the answer before it, streamed or not, alone or in a batch', async () => {
    const before = whole.slice(0, whole.indexOf(cut()))
    const stop = ['never in it', cut()]
    const alone = await model.generate(query, { kv, ...long, stop })
    expect(alone).toMatchObject({ text: before, finishReason: 'stop' })
    expect(await model.tokenizer.decode(alone.ids)).toContain(cut())
    expect(await model.tokenizer.decode(alone.ids.slice(0, -1))).not.toContain(cut())
    const { pieces, result } = await collect(model.stream(query, { kv, ...long, stop }))
    expect(pieces.join('')).toBe(before)
    expect(result.text).toBe(before)
    const [first, second] = await model.generateBatch([{ query, stop }, query], { kv, ...long })
    expect(first!.text).toBe(before)
    expect(first!.ids).toEqual(alone.ids)
    expect(second!.text).toBe(whole)
  })

  it('ends a conversation that goes on exactly there', async () => {
    const talk = kv.clone()
    const start = talk.info.position
    const queryIds = await (await model.prompts).queryIds(query)
    const { ids } = await model.generate(query, { kv: talk, ...long, stop: cut(), updateCache: true })
    expect(talk.info.position).toBe(start + queryIds.length + ids.length)
    const next = await model.generate('And then?', { kv: talk, ...long })
    const again = kv.clone()
    await model.generateIds(queryIds, {
      kv: again,
      maxNewTokens: ids.length,
      ignoreEos: true,
      updateCache: true,
    })
    expect((await model.generate('And then?', { kv: again, ...long })).firstLogits).toEqual(next.firstLogits)
  })

  it('must be a string that is not empty, or a list of them', async () => {
    await expect(model.generate(query, { kv, stop: '' })).rejects.toThrow(
      /^stop must be a string that is not/,
    )
    await expect(model.generate(query, { kv, stop: [3] as unknown as string[] })).rejects.toThrow(
      'stop must be a string or a list of strings, got 3',
    )
  })
})
