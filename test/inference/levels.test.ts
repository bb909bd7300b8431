import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KvCache } from '../../src/inference/kv-cache.js'
import type { Level } from '../../src/inference/levels.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import type { HeadScores } from '../../src/scores/head-scores.js'
import { selectHeads, selectPairs } from '../../src/scores/select.js'
import { chunksOf, randomFloats, randomIds, tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { Reference, type Visible } from './reference.js'

const shape = { ...tinyShape, heads: 6, kvHeads: 3, layers: 2 }
const { layers, kvHeads } = shape
const heads = layers * kvHeads
const prefix = randomIds(5, shape.vocab, 1)
const context = randomIds(120, shape.vocab, 2)
const query = randomIds(30, shape.vocab, 3)
const prefilled = prefix.length + context.length
const newTokens = 12
const chunks = chunksOf(context, 50, prefix)
const everyLevel: Level[] = ['head', 'streaming', 'pair', 'pair-uniform']
const window = { sink: 9, recent: 17 }

const reference = new Reference(shape)
let model: Model
let scores: HeadScores

beforeAll(async () => {
  model = await loadModel(writeTinyModel(scratchFolder(), shape, reference.take))
  scores = scoresOf(randomFloats(heads, 7))
})
afterAll(() => model.close())

function scoresOf(values: Float32Array): HeadScores {
  return {
    layers,
    kvHeads,
    layerIds: Int32Array.from({ length: layers }, (_, i) => i),
    max: values,
    mean: null,
    p99: null,
    positions: context.length,
    pairs: null,
    provenance: {
      model: 'tiny',
      modelHash: '',
      sources: [],
      method: 'test',
      sweep: '',
      chunkSize: 0,
      arithmetic: '',
      engineVersion: '',
      created: '',
    },
  }
}

const ask = (kv: KvCache, options: { ids?: Int32Array; updateCache?: boolean } = {}) =>
  model.generateIds(options.ids ?? query, { kv, maxNewTokens: newTokens, ignoreEos: true, ...options })

/** Holds an answer against one pass of the reference over the whole sequence. */
function expectAsReference(
  made: { ids: Int32Array; firstLogits: Float32Array },
  before: number[],
  visible: Visible,
) {
  const logits = reference.logits([...before, ...made.ids], visible)
  const first = logits[before.length - 1]!
  expect(Math.max(...first.map(Math.abs))).toBeGreaterThan(0.5)
  for (const [i, value] of made.firstLogits.entries()) expect(value).toBeCloseTo(first[i]!, 4)
  for (const [i, id] of made.ids.entries()) expect(id).toBe(best(logits[before.length - 1 + i]!))
}

function best(logits: Float64Array): number {
  return logits.indexOf(Math.max(...logits))
}

/** Context rows saw everything when they were read. */
const evicted =
  (rule: Visible): Visible =>
  (layer, head, q, k) =>
    q < prefilled || rule(layer, head, q, k)

describe('eviction does what masking the same keys does', () => {
  it('at level head', async () => {
    const kv = await model.prefillIds(prefix, context, { scores })
    const { keep } = selectHeads(scores, { ratio: 0.5 })
    expect(kv.prune({ level: 'head', ratio: 0.5 })).toMatchObject({
      keptHeads: 3,
      heads: 6,
      kept: 3,
      total: 6,
    })
    expectAsReference(
      await ask(kv),
      [...prefix, ...context, ...query],
      evicted(
        (layer, head, _, k) => k < prefix.length || k >= prefilled || keep[layer * kvHeads + head] === 1,
      ),
    )
  })

  it.each([
    { name: 'wider than the system prefix', ...window, first: 9 },
    { name: 'narrower than the system prefix, which is kept whole', sink: 2, recent: 17, first: 5 },
    { name: 'of one token', sink: 5, recent: 1, first: 5 },
  ])('at level streaming with a sink and window $name', async ({ sink: sinkTokens, recent, first }) => {
    const kv = await model.prefillIds(prefix, context, { scores })
    const { keep } = selectHeads(scores, { ratio: 0.34 })
    kv.prune({ level: 'streaming', ratio: 0.34, sink: sinkTokens, recent })
    const perHead = (first + recent) * shape.headDim * 2 * 4
    const kept = keep.reduce((a, b) => a + b, 0)
    expect(kept).toBe(2)
    expect(kv.bytes).toBe(kept * prefilled * shape.headDim * 2 * 4 + (heads - kept) * perHead)
    expectAsReference(
      await ask(kv),
      [...prefix, ...context, ...query],
      evicted((layer, head, q, k) => k < first || k > q - recent || keep[layer * kvHeads + head] === 1),
    )
  })

  it('at level streaming through a conversation, whose window slides on', async () => {
    const kv = await model.prefillIds(prefix, context, { scores })
    const { keep } = selectHeads(scores, { ratio: 0.34 })
    kv.prune({ level: 'streaming', ratio: 0.34, ...window })
    const said = [...prefix, ...context]
    const visible = evicted(
      (layer, head, q, k) => k < window.sink || k > q - window.recent || keep[layer * kvHeads + head] === 1,
    )
    for (const seed of [11, 12, 13]) {
      const turn = randomIds(20, shape.vocab, seed)
      said.push(...turn)
      const made = await ask(kv, { ids: turn, updateCache: true })
      expectAsReference(made, said, visible)
      said.push(...made.ids)
    }
    // What left the window left the streaming heads.
    const lengths = kv.native.lengths()
    for (const [head, bit] of keep.entries())
      expect(lengths[head]).toBe(bit ? said.length : window.sink + window.recent)
  })

  it.each(['pair', 'pair-uniform'] as const)('at level %s', async (level) => {
    const kv = await model.prefillIds(prefix, context, { level, chunks })
    const { values, positions } = kv.pairScores!
    const { keep } = selectPairs(
      values,
      { layers, kvHeads, positions },
      { ratio: 0.3, uniform: level !== 'pair' },
    )
    const result = kv.prune({ level, ratio: 0.3 })
    expect(result.kept).toBe(Math.round(0.3 * heads * context.length))
    expect(kv.bytes).toBe((result.kept + heads * prefix.length) * shape.headDim * 2 * 4)
    expectAsReference(
      await ask(kv),
      [...prefix, ...context, ...query],
      evicted((layer, head, _, k) => {
        if (k < prefix.length || k >= prefilled) return true
        return keep[(layer * kvHeads + head) * context.length + k - prefix.length] === 1
      }),
    )
  })
})

describe('pruning', () => {
  it.each(everyLevel)('while prefilling at level %s is pruning afterwards, bit for bit', async (level) => {
    for (const rule of ['exact', 'published'] as const) {
      const options = { level, ratio: 0.4, rule, scores, chunks, ...window }
      const early = await model.prefillIds(prefix, context, options)
      const late = await model.prefillIds(prefix, context, { level, scores, chunks })
      expect(late.pruned).toBeUndefined()
      const result = late.prune(options)
      expect(early.pruned).toEqual(result)
      expect(early.native.lengths()).toEqual(late.native.lengths())
      const [a, b] = [await ask(early), await ask(late)]
      expect(a.ids).toEqual(b.ids)
      expect(a.firstLogits).toEqual(b.firstLogits)
    }
  })

  it('of a retained cache serves every level and ratio in any order, bit for bit what evicting gives', async () => {
    const retained = await model.prefillIds(prefix, context, {
      level: 'pair',
      chunks,
      scores,
      kind: 'retain',
    })
    const full = retained.bytes
    const before = await ask(retained)
    for (const ratio of [0.3, 0.8, 0.05])
      for (const level of everyLevel) {
        const evictedOnce = await model.prefillIds(prefix, context, { level: 'pair', chunks, scores })
        const expected = evictedOnce.prune({ level, ratio, ...window })
        const result = retained.prune({ level, ratio, ...window })
        expect(result).toEqual(expected)
        const [a, b] = [await ask(retained), await ask(evictedOnce)]
        expect(a.firstLogits).toEqual(b.firstLogits)
        expect(a.ids).toEqual(b.ids)
        expect(retained.bytes).toBe(evictedOnce.bytes)
        expect(retained.heldBytes).toBe(full + evictedOnce.bytes)
      }
    retained.prune({ level: 'pair', ratio: 1 })
    expect((await ask(retained)).firstLogits).toEqual(before.firstLogits)
  })

  it('of a retained cache starts from the prefill: a conversation ends with it', async () => {
    const kv = await model.prefillIds(prefix, context, { scores, kind: 'retain' })
    kv.prune({ level: 'head', ratio: 0.5 })
    const expected = await ask(kv)
    kv.prune({ level: 'head', ratio: 1 })
    await ask(kv, { updateCache: true })
    kv.prune({ level: 'head', ratio: 0.5 })
    await ask(kv, { updateCache: true })
    kv.prune({ level: 'head', ratio: 0.5 })
    expect(kv.info.position).toBe(prefilled)
    expect((await ask(kv)).firstLogits).toEqual(expected.firstLogits)
  })

  it('refuses with one sentence what makes no sense, and leaves the cache usable', async () => {
    const kv = await model.prefillIds(prefix, context, { scores })
    const level = 'head' as const
    expect(() => kv.prune({ level: 'layer' as Level, ratio: 0.5 })).toThrow(
      "level must be head, streaming, pair, pair-uniform, got 'layer'",
    )
    expect(() => kv.prune({ level, ratio: 1.4 })).toThrow('ratio must be a number in (0, 1], got 1.4')
    expect(() => kv.prune({ level, ratio: 0.5, rule: 'best' as 'exact' })).toThrow(/^rule must be/)
    expect(() => kv.prune({ level: 'streaming', ratio: 0.5, recent: 0 })).toThrow(
      'recent must be a whole number of tokens, at least 1, got 0',
    )
    expect(() => kv.prune({ level: 'pair', ratio: 0.5 })).toThrow(
      /level pair needs this context's pair scores/,
    )
    expect(() => kv.prune({ level, ratio: 0.5, scores: { ...scores, kvHeads: 2 } })).toThrow(/2 x 2 KV heads/)
    kv.prune({ level, ratio: 0.5 })
    expect(() => kv.prune({ level, ratio: 0.5 })).toThrow(/pruned already/)
    expect((await ask(kv)).ids.length).toBe(newTokens)
    await expect(model.prefillIds(prefix, context, { ratio: 0.5 })).rejects.toThrow(/needs head scores/)
    await expect(model.prefillIds(prefix, context, { kind: 'mask' as 'evict' })).rejects.toThrow(
      "kind must be evict or retain, got 'mask'",
    )
    await expect(model.prefillIds(prefix, context, { prefillChunk: 0 })).rejects.toThrow(
      /prefillChunk must be/,
    )
  })
})
