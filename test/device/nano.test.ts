import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSample } from '../../src/data/samples.js'
import { loadModel, type Model, type ScoredPairs } from '../../src/inference/model.js'
import { reconstructionInputs } from '../../src/model/reconstruction.js'
import { spearman } from '../../src/scores/compare.js'
import type { Sweep } from '../../src/scores/head-scores.js'
import { device, skipWithoutDevice } from './device.js'

/** bf16 keeps 8 bits of a number; scores are probabilities. */
const tolerance = 1e-2

describe.skipIf(skipWithoutDevice())('nano on the GPU', () => {
  let gpu: Model
  let cpu: Model

  beforeAll(async () => {
    gpu = await loadModel('nano', { device })
    cpu = await loadModel('nano', { device: 'cpu' })
  })
  afterAll(() => {
    gpu.close()
    cpu.close()
  })

  async function score(model: Model, data: string, sweep: Sweep): Promise<ScoredPairs> {
    const { context } = await readSample(data, 0)
    const contextIds = await model.contextIds(context)
    const prompts = await model.prompts
    const chunks = reconstructionInputs(contextIds, { chunkSize: 2000, prompts })
    return model.scorePairs({ prefixIds: prompts.prefixIds, contextIds, chunks, sweep })
  }

  it.each([
    ['sample_qa_eng', 'full'],
    ['sample_repoqa', 'full'],
    ['sample_qa_eng', 'chunk'],
    ['sample_qa_eng', 'block'],
  ] as const)('scores heads as the CPU does: %s, %s', async (data, sweep) => {
    const [ours, theirs] = [await score(gpu, data, sweep), await score(cpu, data, sweep)]
    for (const [i, value] of theirs.max.entries())
      expect(Math.abs(ours.max[i]! - value)).toBeLessThan(tolerance)
    expect(spearman(ours.max, theirs.max)).toBeGreaterThanOrEqual(0.999)
    const keep = Math.round(theirs.max.length * 0.6)
    const cut = theirs.max.toSorted().at(-keep)!
    const ourCut = ours.max.toSorted().at(-keep)!
    for (const [i, value] of theirs.max.entries())
      if (Math.abs(value - cut) > tolerance) expect(ours.max[i]! >= ourCut).toBe(value >= cut)
  })

  it("finds the means of DuoAttention's estimate as the CPU does", async () => {
    const { context } = await readSample('sample_qa_eng', 0)
    const textIds = await cpu.textIds(context)
    const [ours, theirs] = [await gpu.means(textIds), await cpu.means(textIds)]
    for (const name of ['queries', 'keys'] as const) {
      const largest = Math.max(...theirs[name].map(Math.abs))
      const apart = theirs[name].map((value, i) => Math.abs(ours[name][i]! - value))
      expect(Math.max(...apart)).toBeLessThan(tolerance * largest)
    }
  })

  it('gives the same bits every time', async () => {
    const [first, second] = [
      await score(gpu, 'sample_qa_eng', 'full'),
      await score(gpu, 'sample_qa_eng', 'full'),
    ]
    expect(first.max).toEqual(second.max)
    expect(first.mean).toEqual(second.mean)
  })

  it('answers as the CPU does', async () => {
    const { context, queries } = await readSample('sample_qa_eng', 0)
    const caches = [await gpu.prefill(context), await cpu.prefill(context)] as const
    for (const query of queries.slice(0, 8)) {
      const [ours, theirs] = [
        await gpu.generate(query, { kv: caches[0], maxNewTokens: 32 }),
        await cpu.generate(query, { kv: caches[1], maxNewTokens: 32 }),
      ]
      expect(ours.text).toBe(theirs.text)
    }
    for (const kv of caches) kv.close()
  })
})
