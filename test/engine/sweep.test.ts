import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/engine/binding.js'
import { loadModel } from '../../src/inference/model.js'
import type { Sweep } from '../../src/scores/head-scores.js'
import { scratchFolder } from '../scratch.js'
import { chunksOf, randomIds, tinyShape, writeTinyModel } from './tiny.js'

const sizes = [1, 19, 111, 700]
let folder: string

beforeAll(() => {
  folder = writeTinyModel(scratchFolder())
})

/** Logits of hundreds in the first layer: most powers of a row are too small for a float. */
const writePeakyModel = () =>
  writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
    if (name.includes('layers.0') && name.includes('q_proj'))
      for (const [i, v] of values.entries()) values[i] = 20 * v
  })

interface Options {
  threads?: number
  sweep?: Sweep
  chunk?: number
  model?: string
}

async function score(context: number, options: Options = {}) {
  const model = await loadModel(options.model ?? folder, { threads: options.threads })
  const prefixIds = randomIds(5, tinyShape.vocab, 1)
  const contextIds = randomIds(context, tinyShape.vocab, 2)
  const chunks = chunksOf(contextIds, options.chunk ?? 64, randomIds(7, tinyShape.vocab, 3))
  const result = await model.scorePairs({
    prefixIds,
    contextIds,
    chunks,
    sweep: options.sweep ?? 'full',
    pairs: true,
  })
  model.close()
  return result
}

function largest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? Number.NaN))), 0)
}

describe('the sweep', () => {
  it.each(sizes)('gives the same bits on one thread, on all, and again, at %i tokens', async (context) => {
    const one = await score(context, { threads: 1 })
    const all = await score(context)
    const again = await score(context)
    expect(all.pairs).toEqual(one.pairs)
    expect(again.pairs).toEqual(one.pairs)
    expect(Math.max(...one.max)).toBeGreaterThan(0.02)
  })

  it('gives the same bits on one thread and on all under a sliding window', async () => {
    const model = writeTinyModel(scratchFolder())
    const file = join(model, 'config.json')
    const config = JSON.parse(readFileSync(file, 'utf8')) as object
    const sliding = { architectures: ['MistralForCausalLM'], model_type: 'mistral', sliding_window: 300 }
    writeFileSync(file, JSON.stringify({ ...config, ...sliding }))
    const one = await score(700, { model, threads: 1 })
    expect((await score(700, { model })).pairs).toEqual(one.pairs)
    expect(largest(one.pairs!, (await score(700)).pairs!)).toBeGreaterThan(1e-4)
  })

  it('summarises the pair scores it returns', async () => {
    const { pairs, max, mean, p99 } = await score(300)
    const heads = tinyShape.layers * tinyShape.kvHeads
    for (let head = 0; head < heads; head++) {
      const values = Array.from(pairs!.subarray(head * 300, (head + 1) * 300)).sort((a, b) => a - b)
      expect(max[head]).toBe(values[299])
      expect(p99[head]).toBe(values[Math.ceil(0.99 * 300) - 1])
      expect(mean[head]).toBeCloseTo(values.reduce((a, b) => a + b) / 300, 6)
    }
  })

  it('has nothing to narrow when one chunk is the whole context', async () => {
    const [full, chunk, block] = [
      await score(60, { chunk: 60 }),
      await score(60, { chunk: 60, sweep: 'chunk' }),
      await score(60, { chunk: 60, sweep: 'block' }),
    ]
    expect(largest(chunk.pairs!, full.pairs!)).toBeLessThan(1e-5)
    expect(largest(block.pairs!, full.pairs!)).toBeLessThan(1e-5)
  })

  it('narrows what is seen when there are several chunks', async () => {
    const full = await score(300)
    expect(largest((await score(300, { sweep: 'chunk' })).pairs!, full.pairs!)).toBeGreaterThan(1e-3)
    expect(largest((await score(300, { sweep: 'block' })).pairs!, full.pairs!)).toBeGreaterThan(1e-3)
  })

  it('scores the first layer alike under every sweep, however far attention elsewhere outweighs the chunk', async () => {
    const model = await loadModel(writePeakyModel())
    const prefixIds = randomIds(5, tinyShape.vocab, 1)
    const contextIds = randomIds(300, tinyShape.vocab, 2)
    const chunks = chunksOf(contextIds, 20, randomIds(7, tinyShape.vocab, 3))
    const first = async (sweep: Sweep) => {
      const { pairs } = await model.scorePairs({ prefixIds, contextIds, chunks, sweep, pairs: true })
      return pairs!.subarray(0, tinyShape.kvHeads * 300)
    }
    const full = await first('full')
    // Logits of hundreds differ by a few 1e-5 with the order of summation.
    expect(largest(await first('chunk'), full)).toBeLessThan(1e-3)
    expect(largest(await first('block'), full)).toBeLessThan(1e-3)
    expect(full.filter((score) => score > 0.5).length).toBeGreaterThan(30)
  })

  it.each([
    { logits: 'small', write: () => folder, tolerance: 1e-5 },
    { logits: 'huge', write: writePeakyModel, tolerance: 1e-3 },
  ])(
    'agrees between the instruction sets that this processor runs, $logits logits',
    async ({ write, tolerance }) => {
      const model = write()
      const best = loadAddon().devices().isa
      const others = ['baseline', 'avx2', 'avx512'].slice(0, ['baseline', 'avx2', 'avx512'].indexOf(best))
      const reference = (await score(111, { model })).pairs!
      const program = `
      import { loadModel } from ${JSON.stringify(new URL('../../dist/inference/model.js', import.meta.url).href)}
      const job = JSON.parse(process.argv[1]), ids = (list) => Int32Array.from(list)
      const model = await loadModel(job.folder)
      const { pairs } = await model.scorePairs({ ...job, prefixIds: ids(job.prefixIds), contextIds: ids(job.contextIds),
        chunks: job.chunks.map((c) => ({ ...c, ids: ids(c.ids) })), sweep: 'full', pairs: true })
      console.log(JSON.stringify(Array.from(pairs)))`
      const contextIds = randomIds(111, tinyShape.vocab, 2)
      const chunks = chunksOf(contextIds, 64, randomIds(7, tinyShape.vocab, 3))
      const job = {
        folder: model,
        prefixIds: Array.from(randomIds(5, tinyShape.vocab, 1)),
        contextIds: Array.from(contextIds),
        chunks: chunks.map((c) => ({ ...c, ids: Array.from(c.ids) })),
      }
      for (const isa of others) {
        const out = execFileSync(
          process.execPath,
          ['--input-type=module', '-e', program, JSON.stringify(job)],
          {
            env: { ...process.env, HEADZIP_CPU: isa },
            encoding: 'utf8',
          },
        )
        expect(largest(Float32Array.from(JSON.parse(out) as number[]), reference), isa).toBeLessThan(
          tolerance,
        )
      }
      expect(reference.length).toBe(tinyShape.layers * tinyShape.kvHeads * 111)
    },
  )
})
