import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AnswerText } from '../../src/inference/answer-text.js'
import type { KvCache } from '../../src/inference/kv-cache.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import type { SamplingOptions } from '../../src/inference/sampling.js'
import { type NewTexts, newTexts } from '../../src/model/tokenizer/new-text.js'
import type { Tokenizer } from '../../src/model/tokenizer.js'
import { ended } from '../model/steps.js'
import { writeTinyChat } from './tiny-chat.js'

const query = 'What is my name?'
let model: Model
let kv: KvCache
let logits: Float32Array

beforeAll(async () => {
  model = await loadModel(writeTinyChat())
  kv = await model.prefill('My name is Kim.')
  logits = (await model.generate(query, { kv, maxNewTokens: 1 })).firstLogits
})
afterAll(() => model.close())

/** SplitMix64's first number from this seed, in [0, 1). */
function uniform(seed: number): number {
  const mask = (1n << 64n) - 1n
  let z = (BigInt(seed) + 0x9e3779b97f4a7c15n) & mask
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask
  z ^= z >> 31n
  return Number(z >> 11n) * 2 ** -53
}

/** The token that a draw must give; candidates by falling weight where they are cut, by id otherwise. */
function drawn({ temperature = 1, topK = 0, topP = 1 }: SamplingOptions, u: number): number {
  const peak = Math.max(...logits)
  let list = Array.from(logits, (logit, id) => ({ id, weight: Math.exp((logit - peak) / temperature) }))
  if (topK > 0 || topP < 1) list.sort((a, b) => b.weight - a.weight || a.id - b.id)
  if (topK > 0) list = list.slice(0, topK)
  let total = list.reduce((sum, { weight }) => sum + weight, 0)
  if (topP < 1) {
    const share = topP * total
    let held = 0
    list = list.filter(({ weight }) => {
      const wanted = held < share
      held += weight
      return wanted
    })
    total = list.reduce((sum, { weight }) => sum + weight, 0)
  }
  let left = u * total
  for (const { id, weight } of list) {
    left -= weight
    if (left < 0) return id
  }
  return list.at(-1)!.id
}

describe('sampling', () => {
  it.each<SamplingOptions>([
    { temperature: 1 },
    { temperature: 0.3 },
    { temperature: 2, topK: 5 },
    { temperature: 1, topP: 0.2 },
    { temperature: 1.5, topK: 50, topP: 0.5 },
  ])('draws with %o what its documented generator says', async (options) => {
    const seeds = Array.from({ length: 300 }, (_, i) => i * 7919)
    const made = await model.generateBatch(
      seeds.map((seed) => ({ query, seed })),
      { kv, maxNewTokens: 1, ignoreEos: true, ...options },
    )
    const ids = made.map((each) => each.ids[0]!)
    expect(ids).toEqual(seeds.map((seed) => drawn(options, uniform(seed))))
    expect(new Set(ids).size).toBeGreaterThan(2)
    if (options.topK) expect(new Set(ids).size).toBeLessThanOrEqual(options.topK)
  })

  it('is greedy by default and with one candidate', async () => {
    const best = logits.indexOf(Math.max(...logits))
    const ask = async (options: SamplingOptions) =>
      (await model.generate(query, { kv, maxNewTokens: 1, ignoreEos: true, ...options })).ids[0]
    expect(await ask({})).toBe(best)
    expect(await ask({ temperature: 3, topK: 1 })).toBe(best)
    expect(await ask({ temperature: 3, topP: 1e-9 })).toBe(best)
  })

  it('repeats itself from a seed, and tells the seed that it chose', async () => {
    const ask = (options: SamplingOptions) =>
      model.generate(query, { kv, maxNewTokens: 20, ignoreEos: true, temperature: 1, ...options })
    const [first, second] = [await ask({}), await ask({})]
    expect(first.ids).not.toEqual(second.ids)
    expect((await ask({ seed: first.seed })).ids).toEqual(first.ids)
    expect((await ask({ seed: 2 ** 53 - 1 })).ids.length).toBe(20)
  })

  it.each([
    [{ temperature: -1 }, 'temperature must be a number of at least 0, got -1'],
    [{ temperature: Number.NaN }, 'temperature must be a number of at least 0, got NaN'],
    [{ topK: 1.5 }, 'topK must be a whole number of at least 0, got 1.5'],
    [{ topP: 0 }, 'topP must be a number in (0, 1], got 0'],
    [{ seed: -1 }, 'seed must be a whole number of at least 0, got -1'],
    [{ temperature: '1' as unknown as number }, "temperature must be a number of at least 0, got '1'"],
  ])('refuses %o', async (options, message) => {
    await expect(model.generate(query, { kv, ...options })).rejects.toThrow(message)
  })
})

describe('the text of an answer', () => {
  const pieces = (list: string[]) => ({
    newText: async (...[before, ids, last]: Parameters<Tokenizer['newText']>): Promise<NewTexts> =>
      ended(
        newTexts((each) => Buffer.concat(each.map((id) => bytes(list[id]!))).toString(), before, ids, last),
      ),
  })
  const bytes = (piece: string): Buffer =>
    piece.startsWith('0x') ? Buffer.from(piece.slice(2), 'hex') : Buffer.from(piece)
  const stream = async (list: string[], stops: string[]) => {
    const answer = new AnswerText(pieces(list), stops)
    const shown: string[] = []
    for (const id of list.keys()) shown.push(await answer.push([id]))
    return { answer, shown, end: await answer.end() }
  }

  it('holds back what may become a stop string, and shows it when it does not', async () => {
    const { answer, shown, end } = await stream(['He', 'l', 'lo\n', 'Q', 'x Q'], ['\nQ:'])
    expect(shown).toEqual(['He', 'l', 'lo', '', '\nQx Q'])
    expect(end).toBe('')
    expect(answer).toMatchObject({ text: 'Hello\nQx Q', stopped: false, tokens: 5 })
  })

  it('ends before a stop string that straddles tokens, and takes no token after it', async () => {
    const { answer, shown } = await stream(['One', ' tw', 'o th', 'ree', ' four'], ['two three', 'five'])
    expect(shown).toEqual(['One', ' ', '', '', ''])
    expect(answer).toMatchObject({ text: 'One ', stopped: true, tokens: 4 })
  })

  it('ends at the first of several stop strings within one token', async () => {
    expect((await stream(['a END b STOP c'], ['STOP', 'END'])).answer).toMatchObject({
      text: 'a ',
      tokens: 1,
    })
  })

  it('never shows half a character', async () => {
    const { shown, end, answer } = await stream(['a', '0xe2', '0x82', '0xac', '0xf09f'], ['\u20ac\u20ac'])
    expect(shown).toEqual(['a', '', '', '', ''])
    expect(end).toBe('\u20ac\ufffd')
    expect(answer.text).toBe('a\u20ac\ufffd')
  })
})
