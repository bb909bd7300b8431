/** Means and estimates of whole models, against PyTorch's. */

import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { mergeScores } from '../../src/scores/merge.js'
import { estimateHeads } from '../../src/scoring/estimate.js'
import { type ScoreOptions, scoreHeads } from '../../src/scoring/score.js'
import { readCases } from '../../src/verify/cases.js'
import { randomIds, tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { expected, largestDifference } from './expected.js'

const folderOf = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url))
const names = Object.keys(expected.models)
const estimate = 'duo-estimate' as const
const textOf = async (name: string): Promise<Int32Array> => {
  const cases = await readCases(folderOf(name))
  return cases.find((each) => each.name === expected.models[name]!.case)!.contextIds
}

describe('mean queries and keys', () => {
  it.each(names)("are PyTorch's on %s, and so are the scores they give", async (name) => {
    const wanted = expected.models[name]!
    const [model, text] = [await loadModel(folderOf(name)), await textOf(name)]
    const { queries, keys } = await model.means(text)
    expect(largestDifference(queries, wanted.queries)).toBeLessThan(2e-6)
    expect(largestDifference(keys, wanted.keys)).toBeLessThan(2e-6)
    expect(Math.max(...queries.map(Math.abs))).toBeGreaterThan(1e-3)
    const scores = await estimateHeads(model, { data: 'ids', index: 0 }, text, {})
    expect([...scores.layerIds]).toEqual(wanted.layers)
    expect(largestDifference(scores.max, wanted.scores)).toBeLessThan(2e-6)
    model.close()
  })

  it('are the same bits on one thread and on all, over tiles that a text does not fill', async () => {
    const folder = writeTinyModel(scratchFolder())
    const text = randomIds(3001, tinyShape.vocab, 4)
    const [one, all] = [await loadModel(folder, { threads: 1 }), await loadModel(folder)]
    const means = await all.means(text)
    expect((await one.means(text)).queries).toEqual(means.queries)
    expect(means.queries.length).toBe(tinyShape.layers * tinyShape.heads * tinyShape.headDim)
    expect(means.keys.length).toBe(tinyShape.layers * tinyShape.kvHeads * tinyShape.headDim)
  })

  it('hold the hidden states and the KV of one layer, not of all', async () => {
    const nano = await loadModel('nano')
    const peak = async (tokens: number) => (await nano.means(randomIds(tokens, 4096, 6))).peakBytes
    // From more tokens than a pass takes rows: its buffers grow no more.
    const growth = ((await peak(4000)) - (await peak(2000))) / 2000
    // 256 values of the stream, 2 x 256 of one layer's KV, 4 bytes each; angles of the rope take the rest
    expect(growth).toBeGreaterThan(4 * 3 * 256)
    expect(growth).toBeLessThan(4 * 4 * 256)
  })

  it('are refused for texts that do not fit, and stop when asked to', async () => {
    const model = await loadModel(writeTinyModel(scratchFolder(), { ...tinyShape, positions: 100 }))
    await expect(model.means(new Int32Array(0))).rejects.toThrow(/^the text is empty$/)
    await expect(model.means(new Int32Array(101))).rejects.toThrow(
      /^the text needs 101 positions, but the model has 100$/,
    )
    await expect(model.means(Int32Array.of(3, 51))).rejects.toThrow(
      /^the text holds the token id 51, but the model's vocabulary has 51 entries$/,
    )
    const damaged = writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
      if (name === 'model.layers.1.self_attn.q_proj.weight') values[5] = Number.NaN
    })
    await expect((await loadModel(damaged)).means(Int32Array.of(3))).rejects.toThrow(
      /^layer 1 gave a value that is not a finite number/,
    )
    const nano = await loadModel('nano')
    const running = new AbortController()
    const onProgress = (): void => running.abort()
    const job = { signal: running.signal, onProgress }
    await expect(nano.means(randomIds(8000, 4096, 5), job)).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
  })
})

describe('the estimate on nano', () => {
  const { scores: wanted, ...sample } = expected.nano
  const options = { method: estimate, data: sample.data, index: sample.index, maxContext: sample.tokens }

  it("gives PyTorch's scores, with where they came from", async () => {
    const nano = await loadModel('nano')
    const seen: number[] = []
    const scores = await scoreHeads(nano, { ...options, onProgress: ({ done }) => seen.push(done) })
    expect(largestDifference(scores.max, wanted)).toBeLessThan(2e-5)
    expect(Math.max(...scores.max) - Math.min(...scores.max)).toBeGreaterThan(0.3)
    expect(scores).toMatchObject({ layers: 6, kvHeads: 4, positions: 1500, mean: null, pairs: null })
    expect(scores.provenance).toMatchObject({
      method: 'duo-estimate',
      sources: [{ data: 'sample_qa_eng', index: 1, tokens: 1500 }],
      sweep: '',
      modelHash: nano.identity.hash,
    })
    expect(seen.at(-1)).toBe(1)
  })

  it('merges to the mean over texts, however they were grouped', async () => {
    const nano = await loadModel('nano')
    const of = (context: string, index: number) =>
      scoreHeads(nano, { method: estimate, context }).then((scores) => {
        scores.provenance.sources[0]!.index = index
        return scores
      })
    const [a, b, c] = [await of('Kim lives in Seoul.', 0), await of('def f(x):', 1), await of('9 9 9', 2)]
    const merged = mergeScores([a, b, c])
    const mean = Array.from(a.max, (value, i) => (value + b.max[i]! + c.max[i]!) / 3)
    expect(largestDifference(merged.max, mean)).toBeLessThan(1e-6)
    expect(largestDifference(mergeScores([mergeScores([a, b]), c]).max, mean)).toBeLessThan(1e-6)
    expect(merged).toMatchObject({ mean: null, p99: null, provenance: { method: 'duo-estimate' } })
  })

  it.each<[string, ScoreOptions, RegExp]>([
    ['a sweep', { sweep: 'block' }, /reads a text once: it has no use for the sweep block$/],
    ['a chunk size', { chunkSize: 9 }, /no use for a chunk size$/],
    ['pairs', { pairs: true }, /no use for scores of pairs$/],
    ['stopping early', { untilStable: { spearman: 0.9, ratio: 0.5 } }, /no use for stopping when stable$/],
    [
      'an unknown method',
      { method: 'duo' as typeof estimate },
      /^method must be kvzip, kvzip\+ or duo-estimate, got 'duo'$/,
    ],
  ])('refuses %s', async (_, given, sentence) => {
    const nano = await loadModel('nano')
    await expect(scoreHeads(nano, { method: estimate, context: 'a', ...given })).rejects.toThrow(sentence)
  })

  it('refuses a text longer than the model reaches, naming it', async () => {
    const tiny: Model = await loadModel(folderOf('qwen3'))
    await expect(estimateHeads(tiny, { data: 'long', index: 3 }, new Int32Array(9000), {})).rejects.toThrow(
      /^long 3 has 9000 tokens, but qwen3 has \d+ positions/,
    )
  })
})
