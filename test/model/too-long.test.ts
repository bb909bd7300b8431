import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planSamples } from '../../src/eval/plan.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { scoreHeads } from '../../src/scoring/score.js'
import { writeTinyChat } from '../inference/tiny-chat.js'
import { scratchFolder } from '../scratch.js'

const words = 'one two three four five six seven eight nine ten '
const data = join(scratchFolder(), 'long.jsonl')
writeFileSync(data, JSON.stringify({ prompts: [words.repeat(60), 'Which?'], ground_truth: ['one'] }))

/** 1,000 positions, where the texts need a little less than that and their repetition more. */
const folder = writeTinyChat({ positions: 1000 })
let model: Model
beforeAll(async () => {
  model = await loadModel(folder)
})
afterAll(() => model.close())

const tokens = async (text: string): Promise<number> => (await model.contextIds(text)).length
const sentenceOf = (job: Promise<unknown>): Promise<string> =>
  job.then(
    () => '',
    (error: Error) => error.message,
  )
const figure = (sentence: string, option: string): number =>
  Number(new RegExp(`${option} (\\d+)`).exec(sentence)?.[1])

describe('a context that is too long is refused with figures that fit:', () => {
  it('read only, the middle is cut out, and a question has room', async () => {
    const context = words.repeat(300)
    const sentence = await sentenceOf(model.prefill(context))
    expect(sentence).toMatch(
      /^the context has \d+ tokens and needs \d+ positions, but \S+ has 1000; --max-context \d+ cuts its middle out, or a rope_scaling of type yarn in its config\.json reaches further$/,
    )
    const maxContext = figure(sentence, '--max-context')
    expect(maxContext).toBeGreaterThan(500)
    const kv = await model.prefill(context, { maxContext })
    expect(kv.info.context).toBe(maxContext)
    await model.generate('Which?', { kv, maxNewTokens: 64, ignoreEos: true })
    kv.close()
  })

  it('scored by its pairs, smaller chunks fit the whole context', async () => {
    const context = words.repeat(60)
    expect(await tokens(context)).toBeLessThan(800)
    const sentence = await sentenceOf(model.prefill(context, { level: 'pair' }))
    expect(sentence).toMatch(/ positions with its repetition, but \S+ has 1000; --max-context \d+ cuts/)
    const [maxContext, chunkSize] = [figure(sentence, '--max-context'), figure(sentence, '--chunk-size')]
    for (const options of [{ maxContext }, { chunkSize }]) {
      const kv = await model.prefill(context, { level: 'pair', ratio: 0.5, ...options })
      expect(kv.info.context).toBe(options.maxContext ?? (await tokens(context)))
      await model.generate('Which?', { kv, maxNewTokens: 32, ignoreEos: true })
      kv.close()
    }
    const one = figure(
      await sentenceOf(model.prefill(context, { level: 'pair', chunkSize: 900 })),
      '--chunk-size',
    )
    expect(one).toBe(chunkSize)
  })

  it('scored by heads, the figures score', async () => {
    const context = words.repeat(60)
    const sentence = await sentenceOf(scoreHeads(model, { context }))
    expect(sentence).toMatch(
      /with its repetition, but \S+ has 1000; --max-context \d+ scores the first tokens only, --chunk-size \d+ repeats less at a time, or a rope_scaling/,
    )
    const [maxContext, chunkSize] = [figure(sentence, '--max-context'), figure(sentence, '--chunk-size')]
    expect((await scoreHeads(model, { context, maxContext })).positions).toBe(maxContext)
    expect((await scoreHeads(model, { context, chunkSize })).positions).toBe(await tokens(context))
  })

  it('much too long, no chunk is small enough, and none is named', async () => {
    const sentence = await sentenceOf(scoreHeads(model, { context: words.repeat(300) }))
    expect(sentence).not.toContain('--chunk-size')
    const maxContext = figure(sentence, '--max-context')
    expect((await scoreHeads(model, { context: words.repeat(300), maxContext })).positions).toBe(maxContext)
  })

  it("for DuoAttention's estimate, which reads a text once", async () => {
    const job = { context: words.repeat(300), method: 'duo-estimate' } as const
    const maxContext = figure(await sentenceOf(scoreHeads(model, job)), '--max-context')
    expect((await scoreHeads(model, { ...job, maxContext })).positions).toBe(maxContext)
  })

  it('in an evaluation of pairs, with its questions', async () => {
    const sentence = await sentenceOf(planSamples(model, { data: [data], scoredChunk: 2000 }))
    const [maxContext, scoredChunk] = [figure(sentence, '--max-context'), figure(sentence, '--chunk-size')]
    expect(await planSamples(model, { data: [data], scoredChunk: 2000, maxContext })).toHaveLength(1)
    expect(await planSamples(model, { data: [data], scoredChunk })).toHaveLength(1)
  })

  it('and with a yarn rope in config.json it is read', async () => {
    const stretched = writeTinyChat({ positions: 1000 })
    const file = join(stretched, 'config.json')
    const config = JSON.parse(readFileSync(file, 'utf8')) as object
    const scaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 1000 }
    writeFileSync(file, JSON.stringify({ ...config, rope_scaling: scaling }))
    const long = await loadModel(stretched)
    const kv = await long.prefill(words.repeat(300))
    expect(kv.info.context).toBe(await tokens(words.repeat(300)))
    kv.close()
    // What is too long even so is not told to do what was done.
    expect(await sentenceOf(long.prefill(words.repeat(900)))).toMatch(
      /; --max-context \d+ cuts its middle out$/,
    )
    long.close()
  })
})
