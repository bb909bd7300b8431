import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { reconstructionInputs } from '../../src/model/reconstruction.js'
import { selectHeads } from '../../src/scores/select.js'
import { spreadOrder } from '../../src/scores/stability.js'
import { scoreHeads } from '../../src/scoring/score.js'

let model: Model
beforeAll(async () => {
  model = await loadModel('nano')
})
afterAll(() => model.close())

/** A context of `tokens` and its chunks. */
async function jobOf(tokens: number, chunkSize: number, sweep: 'full' | 'chunk' = 'full') {
  const text = 'The harbour of Oslo opens at six. Nora keeps the key of cabin nine. '.repeat(60)
  const prompts = await model.prompts
  const contextIds = (await model.contextIds(text)).subarray(0, tokens).slice()
  const chunks = reconstructionInputs(contextIds, { chunkSize, prompts })
  return { prefixIds: prompts.prefixIds, contextIds, chunks, sweep }
}

describe('scoring chunks against a full cache', () => {
  test.each(['full', 'chunk'] as const)('gives what one sweep gives: %s', async (sweep) => {
    const job = await jobOf(300, 100, sweep)
    const whole = await model.scorePairs({ ...job, pairs: true })
    const kv = await model.prefillIds(job.prefixIds, job.contextIds)
    const { layers, kvHeads } = model.identity
    // The last chunk alone, then the first two in a row: any order serves.
    for (const chunks of [job.chunks.slice(2), job.chunks.slice(0, 2)]) {
      const { pairs } = await model.scoreChunks(kv, job, chunks)
      const [start, end] = [chunks[0]!.start, chunks.at(-1)!.end]
      expect(pairs.length).toBe(layers * kvHeads * (end - start))
      let worst = 0
      for (let head = 0; head < layers * kvHeads; head++)
        for (let at = start; at < end; at++) {
          const expected = whole.pairs![head * 300 + at]!
          worst = Math.max(worst, Math.abs(pairs[head * (end - start) + at - start]! - expected))
        }
      expect(worst).toBeLessThan(1e-5)
    }
    // The cache is as it was.
    expect(kv.info).toMatchObject({ context: 300, position: job.prefixIds.length + 300, evicted: false })
    kv.close()
  })

  test('refuses what it cannot mean, one sentence each', async () => {
    const job = await jobOf(300, 100)
    const kv = await model.prefillIds(job.prefixIds, job.contextIds)
    const other = await jobOf(200, 100)
    await expect(model.scoreChunks(kv, other, other.chunks)).rejects.toThrow(
      'the cache is not of this system prefix and context',
    )
    await expect(model.scoreChunks(kv, job, [])).rejects.toThrow('there are no chunks to score')
    await expect(model.scoreChunks(kv, job, [job.chunks[0]!, job.chunks[2]!])).rejects.toThrow(
      'chunks must follow one another',
    )
    const past = { ...job.chunks[2]!, end: 400 }
    await expect(model.scoreChunks(kv, job, [past])).rejects.toThrow('chunks must follow one another')
    const before = { ...job.chunks[0]!, start: -5 }
    await expect(model.scoreChunks(kv, job, [before])).rejects.toThrow('chunks must follow one another')
    await expect(model.scoreChunks(kv, { ...job, sweep: 'block' as 'full' }, job.chunks)).rejects.toThrow(
      'sweep must be full or chunk',
    )
    kv.pruneHeads(new Uint8Array(24).fill(1, 0, 12))
    await expect(model.scoreChunks(kv, job, job.chunks)).rejects.toThrow('the cache is not full')
    kv.close()
    await expect(model.scoreChunks(kv, job, job.chunks)).rejects.toThrow('this cache is closed')
  })
})

describe('stopping when more chunks change nothing', () => {
  const cut = { data: 'sample_qa_eng', index: 1, maxContext: 1200, chunkSize: 100 }

  test.each(['sample_qa_eng', 'sample_repoqa'])(
    'keeps the heads of the full run on %s, runs fewer chunks, and says so',
    async (data) => {
      const sample = { data, index: 0, chunkSize: 250 }
      const full = await scoreHeads(model, sample)
      const early = await scoreHeads(model, { ...sample, untilStable: { spearman: 0.995 } })
      const { scored, chunks, saved } = early.stopped!
      expect(chunks).toBe(Math.ceil(full.positions / 250))
      expect(scored).toBeLessThan(chunks)
      expect(saved).toBeCloseTo(1 - scored / chunks, 1)
      expect(early.positions).toBeLessThan(full.positions)
      expect(early.provenance.sources).toEqual(full.provenance.sources)
      expect(selectHeads(early, { ratio: 0.6 }).keep).toEqual(selectHeads(full, { ratio: 0.6 }).keep)
    },
    300_000,
  )

  test('with a bound that is never met runs every chunk and gives the same scores', async () => {
    const short = { ...cut, maxContext: 300 }
    const full = await scoreHeads(model, short)
    const all = await scoreHeads(model, { ...short, untilStable: { spearman: 1 } })
    expect(all.stopped).toEqual({ scored: 3, chunks: 3, saved: 0 })
    for (const column of ['max', 'mean', 'p99'] as const)
      for (const [cell, score] of full[column]!.entries()) expect(all[column]![cell]).toBeCloseTo(score, 4)
  })

  test('is refused where it has no meaning', async () => {
    const untilStable = { spearman: 0.995 }
    await expect(scoreHeads(model, { ...cut, untilStable: { spearman: 1.5 } })).rejects.toThrow(
      'untilStable must be a number in (0, 1], got 1.5',
    )
    await expect(scoreHeads(model, { ...cut, untilStable, sweep: 'block' })).rejects.toThrow(
      "sweep must be full or chunk to stop early, got 'block'",
    )
    await expect(scoreHeads(model, { ...cut, untilStable, pairs: true })).rejects.toThrow(
      'give pairs without untilStable',
    )
    await expect(scoreHeads(model, { ...cut, maxContext: 0 })).rejects.toThrow(
      'maxContext must be a positive integer, got 0',
    )
  })

  test('reports progress that only grows', async () => {
    const seen: number[] = []
    await scoreHeads(model, {
      ...cut,
      untilStable: { spearman: 0.99 },
      onProgress: ({ done }) => seen.push(done),
    })
    expect(seen.at(-1)).toBe(1)
    expect(seen.every((done, i) => i === 0 || done >= seen[i - 1]!)).toBe(true)
  })
})

test('chunks come from the end, the start, then spread between: each once', () => {
  expect(spreadOrder(1)).toEqual([0])
  expect(spreadOrder(2)).toEqual([1, 0])
  expect(spreadOrder(8)).toEqual([7, 6, 0, 3, 5, 1, 2, 4])
  for (const n of [3, 7, 13, 62])
    expect([...spreadOrder(n)].sort((a, b) => a - b)).toEqual([...Array(n).keys()])
})
