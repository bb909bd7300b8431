import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { exportDuo } from '../../src/formats/duo.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { describeModel, findModel } from '../../src/model/describe.js'
import { decodeScores, encodeScores } from '../../src/scores/arrow.js'
import type { HeadScores } from '../../src/scores/head-scores.js'
import { mergeScores } from '../../src/scores/merge.js'
import { scoreHeads } from '../../src/scoring/score.js'
import { scratchFolder } from '../scratch.js'
import { opened } from './opened.js'
import { chunksOf, randomIds, tinyShape, writeTinyModel } from './tiny.js'

const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))
const prefix = randomIds(6, 160, 1)
const context = randomIds(150, 160, 2)

const provenance = {
  model: 'gemma',
  modelHash: '',
  sources: [{ data: 'a', index: 0, tokens: 3 }],
  method: 'kvzip',
  sweep: 'full',
  chunkSize: 2000,
  arithmetic: 'cpu/fp32',
  engineVersion: '0',
  created: '2025-01-01T00:00:00Z',
  modelLayers: 8,
} as const

async function withModel<T>(folder: string, use: (model: Model) => Promise<T>): Promise<T> {
  const model = await loadModel(folder)
  try {
    return await use(model)
  } finally {
    model.close()
  }
}

const withFixture = <T>(name: string, use: (model: Model) => Promise<T>): Promise<T> =>
  withModel(join(fixtures, name), use)

function largest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? Number.NaN))), 0)
}

describe('a hybrid model', () => {
  it('scores its global layers only, and says which', () =>
    withFixture('gemma3', async (model) => {
      const chunks = chunksOf(context, 64, randomIds(7, 160, 3))
      const scored = await model.scorePairs({
        prefixIds: prefix,
        contextIds: context,
        chunks,
        sweep: 'full',
        pairs: true,
      })
      expect([...scored.layerIds]).toEqual([1])
      expect(scored.max).toHaveLength(2)
      expect(scored.pairs).toHaveLength(2 * context.length)
    }))

  it('holds no more of a sliding layer than its window, and evicts global layers only', () =>
    withFixture('gemma3', async (model) => {
      const attention = model.description.spec.layers.map((layer) => layer.attention)
      expect(attention.map(({ window }) => window)).toEqual([20, 0, 20])
      const { kvHeads, headDim } = attention[0]!
      const entry = kvHeads * headDim * 2 * 4
      const kv = await model.prefillIds(prefix, context)
      expect(kv.info).toMatchObject({ layers: 3, scoredLayers: 1 })
      expect(kv.bytes).toBe((156 + 2 * 19) * entry)
      expect(kv.fullBytes).toBe(kv.bytes)
      const result = kv.pruneHeads(Uint8Array.of(0, 1))
      expect(result).toMatchObject({ keptHeads: 1, heads: 2 })
      expect(kv.bytes).toBe((156 + 2 * 19) * entry - (150 * entry) / 2)
      kv.close()
      const evicted = await model.prefillIds(prefix, context)
      expect(() => evicted.pruneHeads(new Uint8Array(6))).toThrow(/as the scored layers have KV heads/)
      evicted.close()
    }))

  it.each([
    ['gemma3', [1], [0.1, 0.9]],
    ['mistral', [0, 1], [0.9, 0.1, 0.2, 0.8]],
  ])('evicts %s alike while it reads and afterwards', (name, layerIds, max) =>
    withFixture(name, async (model) => {
      const query = randomIds(8, 160, 4)
      const scores: HeadScores = {
        layers: layerIds.length,
        kvHeads: 2,
        layerIds: Int32Array.from(layerIds),
        max: Float32Array.from(max),
        mean: null,
        p99: null,
        positions: 1,
        pairs: null,
        provenance: { ...provenance, sources: [...provenance.sources] },
      }
      const reading = await model.prefillIds(prefix, context, { scores, ratio: 0.5 })
      const after = await model.prefillIds(prefix, context, { scores })
      const full = await model.generateIds(query, { kv: after, maxNewTokens: 4, ignoreEos: true })
      after.prune({ level: 'head', ratio: 0.5 })
      expect(reading.bytes).toBe(after.bytes)
      expect(reading.keptHeads).toBe(layerIds.length)
      const one = await model.generateIds(query, { kv: reading, maxNewTokens: 4, ignoreEos: true })
      const two = await model.generateIds(query, { kv: after, maxNewTokens: 4, ignoreEos: true })
      expect(one.firstLogits).toEqual(two.firstLogits)
      expect([...one.ids]).toEqual([...two.ids])
      expect(largest(one.firstLogits, full.firstLogits)).toBeGreaterThan(1e-3)
    }),
  )

  it.each(['gemma3', 'mistral'])('goes on with a conversation as if %s had read it at once', (name) =>
    withFixture(name, async (model) => {
      const first = randomIds(30, 160, 4)
      const second = randomIds(9, 160, 5)
      const kv = await model.prefillIds(prefix, context)
      const said = await model.generateIds(first, { kv, maxNewTokens: 5, ignoreEos: true, updateCache: true })
      const grown = kv.bytes
      const once = await model.generateIds(second, { kv, maxNewTokens: 6, ignoreEos: true })
      expect(kv.bytes).toBe(grown)
      const whole = Int32Array.from([...context, ...first, ...said.ids])
      const fresh = await model.prefillIds(prefix, whole)
      const again = await model.generateIds(second, { kv: fresh, maxNewTokens: 6, ignoreEos: true })
      expect([...once.ids]).toEqual([...again.ids])
      expect(largest(once.firstLogits, again.firstLogits)).toBeLessThan(1e-4)
      expect(kv.bytes).toBe(fresh.bytes)
    }),
  )
})

describe('a rope that changes with the length of the context', () => {
  const scaling = { rope_type: 'dynamic', factor: 4 }

  /** nano's tokenizer on a tiny Llama. */
  function tinyWithTokenizer(config: object): string {
    const folder = writeTinyModel(scratchFolder(), { ...tinyShape, vocab: 4096 })
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      cpSync(join(findModel('nano').folder, name), join(folder, name))
    const file = join(folder, 'config.json')
    const fields = JSON.parse(readFileSync(file, 'utf8')) as object
    writeFileSync(file, JSON.stringify({ ...fields, ...config }))
    return folder
  }

  it('is chosen by what the context needs, in scoring and in answering', async () => {
    const long = randomIds(200, 51, 6)
    const chunks = chunksOf(long, 50, randomIds(7, 51, 7))
    const needed = 5 + 200 + 57
    const job = {
      prefixIds: randomIds(5, 51, 8),
      contextIds: long,
      chunks,
      sweep: 'full',
      pairs: true,
    } as const
    const run = (config: object) =>
      withModel(tinyWithTokenizer(config), async (model) => {
        const { pairs, rope } = await model.scorePairs(job)
        const kv = await model.prefillIds(job.prefixIds, long)
        const logits = kv.lastLogits
        kv.close()
        return { pairs: pairs!, rope, logits }
      })
    const theta = (positions: number) => 10000 * ((4 * positions) / 100 - 3) ** (10 / 8)
    const dynamic = await run({ max_position_embeddings: 100, rope_scaling: scaling })
    const asScored = await run({ rope_theta: theta(needed) })
    const asRead = await run({ rope_theta: theta(205) })
    expect([dynamic.rope, asScored.rope]).toEqual(['dynamic 4 over 100', ''])
    expect(largest(dynamic.pairs, asScored.pairs)).toBeLessThan(1e-4)
    expect(largest(dynamic.pairs, asRead.pairs)).toBeGreaterThan(1e-3)
    expect(largest(dynamic.logits, asRead.logits)).toBeLessThan(1e-4)
  })

  it('is recorded with the scores, through files and merging', () =>
    withModel(tinyWithTokenizer({ max_position_embeddings: 200, rope_scaling: scaling }), async (model) => {
      const score = (text: string) => scoreHeads(model, { context: text, chunkSize: 100 })
      const short = await score('Seoul is a city.')
      const long = await score('Seoul is a city. Paris is one, too. '.repeat(20))
      expect(short.provenance).not.toHaveProperty('rope')
      expect(long.provenance.rope).toBe('dynamic 4 over 200')
      expect(decodeScores(encodeScores(long), 'x').provenance.rope).toBe('dynamic 4 over 200')
      const other = { ...short.provenance, sources: [{ data: 'other', index: 0, tokens: 1 }] }
      expect(mergeScores([{ ...short, provenance: other }, long]).provenance.rope).toBe('dynamic 4 over 200')
    }))

  it('refuses what it does not reach, with the figures', () =>
    withModel(tinyWithTokenizer({ max_position_embeddings: 64, rope_scaling: scaling }), async (model) => {
      await expect(scoreHeads(model, { context: 'word '.repeat(300) })).rejects.toThrow(
        /positions with its repetition, but .* has 256/,
      )
      await expect(model.prefillIds(prefix, randomIds(260, 51, 9))).rejects.toThrow(
        /^the context has 260 tokens and needs 266 positions, but .* has 256; --max-context \d+ cuts its middle out$/,
      )
    }))
})

describe('scores of some layers only', () => {
  it('keep the number of layers, and export a row for each', async () => {
    const scores = {
      layers: 1,
      kvHeads: 2,
      layerIds: Int32Array.of(5),
      max: Float32Array.of(0.25, 0.5),
      mean: null,
      p99: null,
      positions: 3,
      pairs: null,
      provenance: { ...provenance, sources: [...provenance.sources] },
    }
    const read = decodeScores(encodeScores(scores), 'x')
    expect(read.provenance.modelLayers).toBe(8)
    const folder = join(scratchFolder(), 'duo')
    await exportDuo(read, folder, { ties: 'keep' })
    const rows = readFileSync(join(folder, 'full_attention_heads.tsv'), 'utf8').trim().split('\n')
    expect(rows).toEqual(['1\t1', '1\t1', '1\t1', '1\t1', '1\t1', '0.25\t0.5', '1\t1', '1\t1'])
  })
})

describe('native code checks the weights of every family', () => {
  const names = ['llama3', 'mistral', 'mixtral', 'qwen2', 'qwen2-moe', 'qwen3', 'qwen3-moe', 'gemma3', 'phi3']
  it.each(names)('%s: none missing, none of another shape, none unknown', (name) => {
    const described = describeModel(join(fixtures, name))
    const all = described.weights.map((weight) => ({ ...weight, file: 0 }))
    const open = (weights: typeof all) => opened(described, { weights })
    expect(() => open(all)).not.toThrow()
    for (const [i, { role, shape }] of all.entries()) {
      if (!role.endsWith('_bias'))
        expect(() => open(all.toSpliced(i, 1))).toThrow(`the model has no weight for ${role}`)
      const wrong = { ...all[i]!, shape: [...shape.slice(0, -1), shape.at(-1)! + 1] }
      expect(() => open(all.with(i, wrong))).toThrow(`has the wrong shape for ${role}`)
    }
    const strange = { ...all[0]!, role: 'layers.0.experts.99.gate' }
    expect(() => open([...all, strange])).toThrow('has the unknown role layers.0.experts.99.gate')
  })
})
