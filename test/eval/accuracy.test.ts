import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sample } from '../../src/data/sample.js'
import { measureAccuracy } from '../../src/eval/accuracy.js'
import { loadModel, type Model } from '../../src/inference/model.js'

const sample: Sample = {
  data: 'own',
  index: 0,
  context: 'This is my basic profile. My name is Kim living in Seoul. My major is computer science.',
  queries: ['What is my name?', 'Do I live in Seoul?', 'What is my major?'],
  answers: ['Kim', 'Yes', 'Law'],
}

describe('measuring accuracy', () => {
  let model: Model
  beforeAll(async () => {
    model = await loadModel('nano')
  })
  afterAll(() => model.close())

  it('counts right answers for every way of evicting, with the KV that it holds', async () => {
    const progress: number[] = []
    const arms = [
      { name: 'full', keep: null },
      { name: 'none', keep: new Uint8Array(24) },
    ]
    const results = await measureAccuracy(model, [sample], arms, {
      onProgress: ({ done }) => progress.push(done),
    })
    const prefix = (await model.prompts).prefixIds.length
    const tokens = prefix + (await model.contextIds(sample.context)).length
    const bytesPerToken = 24 * 64 * 2 * 4
    expect(results.map(({ arm, questions }) => [arm, questions])).toEqual([
      ['full', 3],
      ['none', 3],
    ])
    expect(results[0]).toMatchObject({ bytes: tokens * bytesPerToken, fullBytes: tokens * bytesPerToken })
    expect(results[1]?.bytes).toBe(prefix * bytesPerToken)
    expect(results[0]?.accuracy).toBeCloseTo(2 / 3)
    expect(results[1]?.accuracy).toBeLessThan(2 / 3)
    expect(progress.map((done) => Math.round(done * 6))).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('asks only the first questions when told so', async () => {
    const results = await measureAccuracy(model, [sample], [{ name: 'full', keep: null }], {
      questionsOf: () => 2,
    })
    expect(results).toMatchObject([{ accuracy: 1, questions: 2 }])
  })

  it('refuses samples without reference answers', async () => {
    await expect(measureAccuracy(model, [{ ...sample, answers: [] }], [])).rejects.toThrow(
      'own 0 has no ground_truth: its answers cannot be judged',
    )
  })
})
