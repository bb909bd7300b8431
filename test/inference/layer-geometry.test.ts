/** A model whose layers differ in KV heads and head_dim. No family has one yet, so its description is changed by hand. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { LayerSpec } from '../../src/engine/spec.js'
import { loadModel, Model } from '../../src/inference/model.js'
import { describeModel, type EngineDescription } from '../../src/model/describe.js'
import { opened } from '../engine/opened.js'
import { scratchFolder } from '../scratch.js'
import { withHeader } from './kv-file.js'
import { writeTinyChat } from './tiny-chat.js'

const window = 20
const folder = writeTinyChat({ layers: 4, heads: 6, kvHeads: 6 })

/**
 * Layer by layer (heads, KV heads, head_dim): 6, 6, 10 as written; 3, 3, 20 of the same tensors; 6, 2, 10 of their first
 * rows; 6, 6, 10 under a window. The first alone is scored.
 */
function mixed(): EngineDescription {
  const description = describeModel(folder)
  const layers = description.spec.layers.map((layer, at): LayerSpec => {
    const own = [{}, { heads: 3, kvHeads: 3, headDim: 20 }, { kvHeads: 2 }, { window }][at]!
    return { ...layer, attention: { ...layer.attention, ...own }, scored: at === 0 }
  })
  const weights = description.weights.map((weight) =>
    /^layers\.2\.[kv]$/.test(weight.role)
      ? { ...weight, shape: [20, weight.shape[1]!], bytes: weight.bytes / 3 }
      : weight,
  )
  return { ...description, spec: { ...description.spec, layers }, weights }
}

const model = new Model(mixed(), { device: 'cpu', threads: 1 })
afterAll(() => model.close())
const context = 'My name is Kim. I live in Seoul and study computer science. '.repeat(8)
const long = { maxNewTokens: 12, ignoreEos: true }

/** Numbers in a key and its value, of all KV heads. */
const wide = [2 * 6 * 10, 2 * 3 * 20, 2 * 2 * 10]

describe('layers of different geometry', () => {
  it('are counted by the engine, windows and all', async () => {
    const engine = opened(mixed()) as {
      describe(): unknown
      kvBytes(tokens: unknown): number
      close(): void
    }
    expect(engine.describe()).toEqual({ device: 'cpu', element: 'fp32', elementBytes: 4 })
    for (const tokens of [0, 1, window - 1, window, 500]) {
      const values = wide.reduce((sum, each) => sum + each * tokens, wide[0]! * Math.min(tokens, window - 1))
      expect(engine.kvBytes(tokens)).toBe(4 * values)
    }
    for (const wrong of [-1, 1.5, 2 ** 31, '3']) expect(() => engine.kvBytes(wrong)).toThrow(/tokens must be/)
    engine.close()
    expect(() => engine.kvBytes(1)).toThrow(/this model is closed/)
    const kv = await model.prefill(context)
    expect(kv.fullBytes).toBe(kv.bytes)
    expect(Array.from(kv.native.geometry())).toEqual([6, 10, 3, 20, 2, 10, 6, 10])
    kv.close()
  })

  it.each(['full', 'pruned'])('are saved and restored: a %s cache answers as before', async (kind) => {
    const kv = await model.prefill(context)
    if (kind === 'pruned') kv.pruneHeads(Uint8Array.of(1, 0, 0, 1, 0, 1))
    const path = join(scratchFolder(), 'mixed.kv')
    await kv.save(path)
    const restored = await model.restore(path)
    expect(restored.bytes).toBe(kv.bytes)
    expect(restored.fullBytes).toBe(kv.fullBytes)
    expect(restored.native.lengths()).toEqual(kv.native.lengths())
    expect(restored.native.geometry()).toEqual(kv.native.geometry())
    for (const query of ['What is my name?', 'And then?']) {
      const a = await model.generate(query, { kv, ...long, updateCache: true })
      const b = await model.generate(query, { kv: restored, ...long, updateCache: true })
      expect(b.firstLogits).toEqual(a.firstLogits)
      expect(b.ids).toEqual(a.ids)
    }
    kv.close()
    restored.close()
  })
})

/** The file with its header changed and its checksum right. */
function changed(file: string, change: (header: Record<string, unknown>) => void): string {
  const path = join(scratchFolder(), 'changed.kv')
  writeFileSync(path, withHeader(readFileSync(file), change))
  return path
}

const withoutGeometry = (file: string): string => changed(file, (header) => delete header.geometry)

describe('a file that was written before geometry belonged to the layer', () => {
  it('is read where all layers are alike', async () => {
    const alike = await loadModel(folder, { device: 'cpu' })
    const kv = await alike.prefill(context, { level: 'pair', ratio: 0.4 })
    const path = join(scratchFolder(), 'alike.kv')
    await kv.save(path)
    const restored = await alike.restore(withoutGeometry(path))
    const [a, b] = [kv, restored].map((each) => alike.generate('What is my name?', { kv: each, ...long }))
    expect((await b!).firstLogits).toEqual((await a!).firstLogits)
    expect((await b!).ids).toEqual((await a!).ids)
    alike.close()
  })

  it('is refused where they are not, as is one with the geometry of others', async () => {
    const kv = await model.prefill(context)
    const path = join(scratchFolder(), 'mixed.kv')
    await kv.save(path)
    const swapped = changed(path, (header) =>
      Object.assign(header, { geometry: [6, 10, 6, 10, 2, 10, 3, 20] }),
    )
    const short = changed(path, (header) => Object.assign(header, { geometry: [6, 10] }))
    for (const file of [withoutGeometry(path), swapped, short])
      await expect(model.restore(file)).rejects.toThrow(/is a damaged cache/)
    kv.close()
  })
})
