import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { KvCache } from '../../src/inference/kv-cache.js'
import { type Level, levels } from '../../src/inference/levels.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { chunksOf, randomIds } from '../engine/tiny.js'
import { randomScores } from '../scores/make.js'
import { scratchFolder } from '../scratch.js'

// gemma3: layers 0 and 2 slide over 20 positions, layer 1 is global and scored. mistral: every layer slides and is scored.
const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))
const prefix = randomIds(6, 160, 1)
const context = randomIds(150, 160, 2)
const query = randomIds(12, 160, 3)
const chunks = chunksOf(context, 64, prefix)

const cases = ['gemma3', 'mistral'].flatMap((name) => levels.map((level) => [name, level] as const))

async function withFixture(name: string, use: (model: Model) => Promise<void>): Promise<void> {
  const model = await loadModel(join(fixtures, name))
  try {
    await use(model)
  } finally {
    model.close()
  }
}

const scoresOf = (model: Model) => randomScores(model.identity.layers, model.identity.kvHeads, 5)

describe('a model with sliding layers', () => {
  it.each(cases)(
    '%s at level %s: pruned early, late, from a retained cache and restored, all the same',
    (name, level: Level) =>
      withFixture(name, async (model) => {
        const options = { level, ratio: 0.5, sink: 8, recent: 11, scores: scoresOf(model), chunks }
        const ask = (kv: KvCache, updateCache = false) =>
          model.generateIds(query, { kv, maxNewTokens: 8, ignoreEos: true, updateCache })
        const early = await model.prefillIds(prefix, context, options)
        const late = await model.prefillIds(prefix, context, { ...options, ratio: undefined })
        const retained = await model.prefillIds(prefix, context, { ...options, kind: 'retain', ratio: 0.9 })
        const full = await ask(late)
        late.prune(options)
        retained.prune(options)
        const file = join(scratchFolder(), 'kv')
        await early.save(file)
        const restored = await model.restore(file)
        const lengths = early.native.lengths()
        const first = await ask(early)
        for (const kv of [late, retained, restored]) {
          expect(kv.native.lengths()).toEqual(lengths)
          expect((await ask(kv)).firstLogits).toEqual(first.firstLogits)
        }
        // Something was evicted, and it matters, unless the window had let go of it anyway.
        expect(early.bytes).toBeLessThan(early.fullBytes)
        expect(first.firstLogits.some((logit, i) => logit !== full.firstLogits[i])).toBe(true)
        // The conversation goes on alike from each of them.
        const turns = await Promise.all([early, late, retained, restored].map((kv) => ask(kv, true)))
        const next = await Promise.all([early, late, retained, restored].map((kv) => ask(kv, true)))
        for (const [i, turn] of next.entries()) {
          expect(turns[i]!.ids).toEqual(turns[0]!.ids)
          expect(turn.firstLogits).toEqual(next[0]!.firstLogits)
        }
      }),
  )

  it('never loses anything of its sliding layers to a level', () =>
    withFixture('gemma3', async (model) => {
      const { kvHeads } = model.identity
      for (const level of levels) {
        const options = { level, ratio: 0.1, sink: 8, recent: 11, scores: scoresOf(model), chunks }
        const kv = await model.prefillIds(prefix, context, options)
        const lengths = Array.from(kv.native.lengths())
        expect(lengths.filter((_, i) => Math.floor(i / kvHeads) !== 1)).toEqual(
          new Array(2 * kvHeads).fill(19),
        )
        expect(Math.min(...lengths.slice(kvHeads, 2 * kvHeads))).toBeLessThan(50)
      }
    }))

  it('says that a kept conversation took what another prune would need, and goes on answering', () =>
    withFixture('gemma3', async (model) => {
      const kv = await model.prefillIds(prefix, context, { scores: scoresOf(model), kind: 'retain' })
      await model.generateIds(query, { kv, maxNewTokens: 20, ignoreEos: true, updateCache: true })
      expect(() => kv.prune({ level: 'head', ratio: 0.5 })).toThrow(
        /kept conversation; prefill the context again/,
      )
      const { ids } = await model.generateIds(query, { kv, maxNewTokens: 4, ignoreEos: true })
      expect(ids.length).toBe(4)
      kv.close()
    }))
})
