import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/engine/binding.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { readSafetensorsHeader, readTensorBytes } from '../../src/model/safetensors.js'
import type { PairMethod, ScoreMethod, Sweep } from '../../src/scores/head-scores.js'
import { mergeScores } from '../../src/scores/merge.js'
import { scoreHeads } from '../../src/scoring/score.js'
import { readCases } from '../../src/verify/cases.js'
import { chunksOf, randomIds, tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'

const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))
const context =
  'The harbour of Oslo opens at six. Nora keeps the key of cabin nine. Door 7 needs the code 7919. '.repeat(9)

function largest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)
}

/** One of the fixtures' cases by its name. */
function jobOf(folder: string, name: string, sweep: Sweep) {
  const found = readCases(folder).find((each) => each.name === name)!
  const { prefixIds, contextIds, chunkSize, repeatInputs } = found
  const chunks = repeatInputs.map((ids, i) => ({
    start: i * chunkSize,
    end: Math.min((i + 1) * chunkSize, contextIds.length),
    ids,
  }))
  return { prefixIds, contextIds, chunks, sweep, pairs: true }
}

async function tiny(edit?: (name: string, values: Float32Array) => void, threads?: number) {
  const model = await loadModel(writeTinyModel(scratchFolder(), tinyShape, edit), { threads })
  const contextIds = randomIds(300, tinyShape.vocab, 2)
  const job = {
    prefixIds: randomIds(5, tinyShape.vocab, 1),
    contextIds,
    chunks: chunksOf(contextIds, 64, randomIds(7, tinyShape.vocab, 3)),
    sweep: 'full' as const,
    pairs: true,
  }
  const pairs = async (method: PairMethod): Promise<Float32Array> =>
    (await model.scorePairs({ ...job, method })).pairs!
  return { model, pairs }
}

describe('kvzip+', () => {
  it.each([
    ['llama3', 'ctx40_chunk64'],
    ['llama3', 'ctx300_chunk64'],
    ['llama3', 'ctx700_chunk2000'],
    ['qwen3', 'ctx130_chunk48'],
    ['gguf', 'chunks'],
  ])('equals an independent computation under every sweep: %s, %s', async (name, test) => {
    const folder = join(fixtures, name)
    const { tensors } = readSafetensorsHeader(join(folder, 'kvzip-plus.safetensors'))
    const model = await loadModel(name === 'gguf' ? join(folder, 'tiny.gguf') : folder)
    for (const sweep of ['full', 'chunk', 'block'] as const) {
      const tensor = tensors.get(`${test}/pair_scores${sweep === 'full' ? '' : `_${sweep}`}`)!
      const expected = new Float32Array(new Uint8Array(readTensorBytes(tensor)).buffer)
      const job = jobOf(folder, test, sweep)
      const { pairs } = await model.scorePairs({ ...job, method: 'kvzip+' })
      expect(largest(pairs!, expected)).toBeLessThan(2e-5)
      expect(largest((await model.scorePairs(job)).pairs!, expected)).toBeGreaterThan(0.1)
    }
    model.close()
  })

  it('gives the same bits on one thread and on all', async () => {
    const [one, all] = [await tiny(undefined, 1), await tiny()]
    const expected = await one.pairs('kvzip+')
    expect(await all.pairs('kvzip+')).toEqual(expected)
    expect(Math.max(...expected)).toBeGreaterThan(0.02)
  })

  it('agrees between the instruction sets that this processor runs', async () => {
    const folder = join(fixtures, 'qwen3')
    const job = jobOf(folder, 'ctx130_chunk48', 'full')
    const model = await loadModel(folder)
    const { pairs } = await model.scorePairs({ ...job, method: 'kvzip+' })
    const program = `
      import { loadModel } from ${JSON.stringify(new URL('../../dist/inference/model.js', import.meta.url).href)}
      import { readCases } from ${JSON.stringify(new URL('../../dist/verify/cases.js', import.meta.url).href)}
      const [folder, chunks] = process.argv.slice(1)
      const { prefixIds, contextIds } = readCases(folder).find(({ name }) => name === 'ctx130_chunk48')
      const model = await loadModel(folder)
      const { pairs } = await model.scorePairs({ prefixIds, contextIds, sweep: 'full', method: 'kvzip+', pairs: true,
        chunks: JSON.parse(chunks).map((c) => ({ ...c, ids: Int32Array.from(c.ids) })) })
      console.log(JSON.stringify(Array.from(pairs)))`
    const chunks = JSON.stringify(job.chunks.map((chunk) => ({ ...chunk, ids: [...chunk.ids] })))
    const known = ['baseline', 'avx2', 'avx512']
    for (const isa of known.slice(0, known.indexOf(loadAddon().devices().isa))) {
      const args = ['--input-type=module', '-e', program, folder, chunks]
      const env = { ...process.env, HEADZIP_CPU: isa }
      const found = JSON.parse(execFileSync(process.execPath, args, { env, encoding: 'utf8' })) as number[]
      expect(largest(Float32Array.from(found), pairs!), isa).toBeLessThan(1e-5)
    }
    model.close()
  })

  it('scores what adds nothing 0, and leaves rows of zeros out', async () => {
    const silent = await tiny((name, values) => {
      if (name.includes('layers.0') && name.includes('o_proj')) values.fill(0)
    })
    const first = (pairs: Float32Array): Float32Array => pairs.subarray(0, pairs.length / tinyShape.layers)
    const none = await silent.pairs('kvzip+')
    expect(Math.max(...first(none))).toBe(0)
    expect(Math.max(...none)).toBeGreaterThan(0.02)

    const empty = await tiny((name, values) => {
      // a quarter of the words
      if (name.includes('embed_tokens')) values.fill(0, 0, Math.floor(tinyShape.vocab / 4) * tinyShape.hidden)
    })
    const left = first(await empty.pairs('kvzip+'))
    expect(left.every((score) => score >= 0 && score < 1e3)).toBe(true)
    expect(Math.max(...left)).toBeGreaterThan(0.02)
  })
})

describe('kvzip+ on a sample', () => {
  let model: Model
  beforeAll(async () => {
    model = await loadModel('nano')
  })
  afterAll(() => model.close())
  const options = { context, chunkSize: 64, method: 'kvzip+' as const }

  it('is recorded, and not merged with kvzip', async () => {
    const plus = await scoreHeads(model, options)
    const plain = await scoreHeads(model, { ...options, method: undefined })
    expect([plus.provenance.method, plain.provenance.method]).toEqual(['kvzip+', 'kvzip'])
    expect(() => mergeScores([plain, plus])).toThrow('their method differs, kvzip against kvzip+')
    expect(plus.provenance.modelLayers).toBe(6)
  })

  it('is the same when chunks are scored one by one, as stopping early does', async () => {
    const whole = await scoreHeads(model, options)
    const all = await scoreHeads(model, { ...options, untilStable: { spearman: 0.9, patience: 99 } })
    expect(all.provenance.method).toBe('kvzip+')
    expect(all.stopped!.saved).toBe(0)
    expect(largest(all.max, whole.max)).toBeLessThan(2e-5)
  })

  it('is the same bit for bit when the chunks of a context are scored apart', async () => {
    const blocks = { ...options, sweep: 'block' as const }
    const whole = await scoreHeads(model, blocks)
    const parts = []
    for (const index of [0, 1])
      parts.push(await scoreHeads(model, { ...blocks, chunks: { index, count: 2 } }))
    expect(mergeScores(parts).max).toEqual(whole.max)
  })

  it('is refused on a GPU, and under a name that is none', async () => {
    const gpu = { device: 'cuda' } as unknown as Model
    await expect(scoreHeads(gpu, options)).rejects.toThrow(
      /^kvzip\+ scores are computed on the CPU only: score with device cpu$/,
    )
    const method = 'kvzip++' as ScoreMethod
    await expect(scoreHeads(model, { ...options, method })).rejects.toThrow(
      "method must be kvzip, kvzip+ or duo-estimate, got 'kvzip++'",
    )
  })
})
