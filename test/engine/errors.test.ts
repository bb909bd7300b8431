import { describe, expect, it } from 'vitest'
import type { LayerSpec } from '../../src/engine/spec.js'
import { loadModel } from '../../src/inference/model.js'
import { describeModel } from '../../src/model/describe.js'
import { scratchFolder } from '../scratch.js'
import { opened } from './opened.js'
import { chunksOf, randomIds, tinyShape, writeTinyModel } from './tiny.js'

const prefixIds = randomIds(5, tinyShape.vocab, 1)
const contextIds = randomIds(300, tinyShape.vocab, 2)
const chunks = chunksOf(contextIds, 64, prefixIds)

describe('the engine refuses with one sentence', () => {
  it('weights that hold a NaN, naming the layer', async () => {
    const folder = writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
      if (name === 'model.layers.1.mlp.up_proj.weight') values[5] = Number.NaN
    })
    const model = await loadModel(folder)
    await expect(model.prefillIds(prefixIds, contextIds)).rejects.toThrow(
      /^layer 1 gave a value that is not a finite number/,
    )
  })

  it('a NaN that only the keys of the last layer meet', async () => {
    const folder = writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
      if (name === 'model.layers.1.self_attn.k_proj.weight') values[5] = Number.NaN
    })
    const model = await loadModel(folder)
    await expect(model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'full' })).rejects.toThrow(
      /^layer 1 gave a value that is not a finite number/,
    )
  })

  it('ids outside the vocabulary, too many positions, an empty context and broken chunks', async () => {
    const model = await loadModel(writeTinyModel(scratchFolder(), { ...tinyShape, positions: 310 }))
    const bad = Int32Array.from([3, tinyShape.vocab])
    await expect(model.prefillIds(prefixIds, bad)).rejects.toThrow(
      /token id 51, but the model's vocabulary has 51/,
    )
    await expect(model.prefillIds(prefixIds, new Int32Array(0))).rejects.toThrow(/context is empty/)
    await expect(model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'full' })).rejects.toThrow(
      /needs 374 positions, but the model has 310/,
    )
    await expect(
      model.scorePairs({ prefixIds, contextIds, chunks: chunks.slice(1), sweep: 'full' }),
    ).rejects.toThrow(/cover the context/)
    await expect(
      model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'chunk', before: 8 }),
    ).rejects.toThrow(/only the block sweep scores a part of a context/)
    const kv = await model.prefillIds(prefixIds, contextIds)
    await expect(model.generateIds(randomIds(9, 51, 1), { kv, maxNewTokens: 5 })).rejects.toThrow(
      /needs 315 positions/,
    )
    const made = await model.generateIds(randomIds(2, 51, 1), { kv, maxNewTokens: 50, ignoreEos: true })
    expect(made.ids.length).toBe(3) // 310 positions, 307 of them taken
  })

  it('a job that is aborted, before and while it runs, and works on afterwards', async () => {
    const model = await loadModel('nano')
    const long = randomIds(3000, 4096, 5)
    const job = {
      prefixIds,
      contextIds: long,
      chunks: chunksOf(long, 1000, prefixIds),
      sweep: 'full' as const,
    }
    await expect(model.scorePairs({ ...job, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
    const started = performance.now()
    await expect(model.scorePairs({ ...job, signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
    expect(performance.now() - started).toBeLessThan(20_000)
    const kv = await model.prefillIds(prefixIds, contextIds)
    expect(kv.lastLogits.length).toBe(4096)
    model.close()
    await expect(model.prefillIds(prefixIds, contextIds)).rejects.toThrow(/closed/)
  })

  it('what native code is handed wrongly, whatever TypeScript let through', () => {
    const described = describeModel(writeTinyModel(scratchFolder()))
    const { spec, weights } = described
    const good = weights.map((weight) => ({ ...weight, file: 0 }))
    const open = (change: object) => opened(described, change)
    const altered = (change: object) => good.map((w) => (w.role === 'layers.0.q' ? { ...w, ...change } : w))
    expect(() => open({})).not.toThrow()
    const layers = (change: (layer: LayerSpec) => LayerSpec) => ({
      spec: { ...spec, layers: spec.layers.map(change) },
    })
    const kvHeads = (layer: LayerSpec) => ({ ...layer, attention: { ...layer.attention, kvHeads: 2 } })
    expect(() => open(layers(kvHeads))).toThrow(/multiple of num_key_value_heads/)
    expect(() => open({ spec: { ...spec, layers: [] } })).toThrow(/layers must be an integer from 1 to 4096/)
    const many = Array.from({ length: 4097 }, () => spec.layers[0])
    expect(() => open({ spec: { ...spec, layers: many } })).toThrow(
      /layers must be an integer from 1 to 4096/,
    )
    const rope = (invFreq: Float32Array) => ({ spec: { ...spec, ropes: [{ invFreq, scale: 1 }] } })
    expect(() => open(rope(new Float32Array(6)))).toThrow(
      /invFreq must hold 1 to head_dim \/ 2 values, got 6/,
    )
    expect(() => open(rope(Float32Array.of(Number.NaN)))).toThrow(/invFreq must be finite/)
    expect(() => open({ files: [] })).toThrow(/file that is not in the list/)
    expect(() => open({ files: ['/nowhere/model.safetensors'] })).toThrow(/cannot open/)
    expect(() => open({ weights: good.slice(1) })).toThrow(/no weight for/)
    expect(() => open({ weights: [...good, good[0]] })).toThrow(/given twice/)
    expect(() => open({ weights: altered({ offset: 2 ** 40 }) })).toThrow(/truncated/)
    expect(() => open({ weights: altered({ bytes: 4 }) })).toThrow(/does not match its shape/)
    expect(() => open({ weights: altered({ shape: [1, 2, 3] }) })).toThrow(/wrong shape/)
    expect(() => open({ weights: altered({ dtype: 'I8' }) })).toThrow(/dtype must be/)
    expect(() => open({ weights: altered({ offset: -4 }) })).toThrow(/negative/)
    expect(() => open({ device: 'tpu' })).toThrow(/must be cpu or cuda/)
  })

  it('a call of the sweep that is handed what another one takes', () => {
    const engine = opened(describeModel(writeTinyModel(scratchFolder()))) as Record<
      'score' | 'prefill',
      (params: object) => unknown
    >
    const text = { prefix: prefixIds, context: contextIds }
    const scoring = { chunks, method: 'kvzip', sweep: 'full' }
    const score = (change: object) => () => engine.score({ ...text, ...scoring, pairs: false, ...change })
    expect(score({ sweep: 'half' })).toThrow(/^sweep must be full or chunk or block, got half$/)
    expect(score({ sweep: 'block' })).toThrow(/^before is missing$/)
    expect(score({ method: 'max' })).toThrow(/^method must be kvzip or kvzip\+, got max$/)
    const prefill = (eviction: object) => () => engine.prefill({ ...text, eviction })
    expect(prefill({ kind: 'half' })).toThrow(/^eviction.kind must be none, heads or scored, got half$/)
    expect(prefill({ kind: 'heads' })).toThrow(/^keep is missing$/)
    expect(prefill({ kind: 'scored', uniform: { count: 9, above: false } })).toThrow(/^chunks is missing$/)
  })
})
