import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { chunksOf, randomIds } from '../engine/tiny.js'
import { writeTinyChat } from '../inference/tiny-chat.js'
import { scratchFolder } from '../scratch.js'
import { device, skipWithoutDevice } from './device.js'

const sentence =
  /^(the model|layer \d(, KV head \d)?) gave a value that is not a finite number; its weights are damaged or overflow$/
// As wide as the GPU's kernels ask for.
const shape = { hidden: 64, heads: 4, kvHeads: 2, headDim: 64, inner: 96 }
const prefixIds = randomIds(5, 4096, 1)
const contextIds = randomIds(300, 4000, 2)

function tiny(edit?: (name: string, values: Float32Array) => void): Promise<Model> {
  return loadModel(writeTinyChat(shape, edit), { device })
}

describe.skipIf(skipWithoutDevice())('values that are not finite, on the GPU', () => {
  it.each([
    ['a NaN', Number.NaN],
    ['an infinite number', Number.POSITIVE_INFINITY],
  ])('%s in the output matrix ends every job that looks at logits', async (_, value) => {
    const good = await tiny()
    const bad = await tiny((name, values) => {
      if (name === 'lm_head.weight') values[7 * shape.hidden + 5] = value
    })
    const file = join(scratchFolder(), 'context.kv')
    await (await good.prefillIds(prefixIds, contextIds)).save(file)
    const kv = await bad.restore(file)
    for (const sampling of [{}, { temperature: 1, seed: 3 }, { temperature: 0.8, topP: 0.9, seed: 3 }]) {
      const options = { kv, maxNewTokens: 12, ignoreEos: true, ...sampling }
      await expect(bad.generate('Who am I?', options)).rejects.toThrow(sentence)
      await expect(bad.generateBatch(['Who?', 'Where?'], options)).rejects.toThrow(sentence)
    }
    await expect(bad.logProbs('Who am I?', 'Kim', { kv })).rejects.toThrow(sentence)
    await expect(bad.prefillIds(prefixIds, contextIds)).rejects.toThrow(sentence)
    for (const model of [good, bad]) model.close()
  })

  it('a token whose embedding overflows ends the job that has it, and no other', async () => {
    const model = await tiny((name, values) => {
      if (name === 'model.embed_tokens.weight') values.fill(3e38, 4090 * shape.hidden, 4091 * shape.hidden)
    })
    const kv = await model.prefillIds(prefixIds, contextIds)
    const options = { kv, maxNewTokens: 12, ignoreEos: true }
    const before = await model.generateIds(randomIds(9, 4000, 3), options)
    await expect(model.generateIds(Int32Array.of(4090), options)).rejects.toThrow(sentence)
    expect((await model.generateIds(randomIds(9, 4000, 3), options)).ids).toEqual(before.ids)
    await expect(model.prefillIds(prefixIds, Int32Array.of(3, 4090, 4))).rejects.toThrow(sentence)
    expect((await model.prefillIds(prefixIds, contextIds)).lastLogits).toEqual(kv.lastLogits)
    model.close()
  })

  it('attention that overflows where only scores are wanted ends the scoring', async () => {
    const model = await tiny((name, values) => {
      if (name !== 'model.layers.1.self_attn.q_proj.weight') return
      for (const [i, value] of values.entries()) values[i] = value * 1e37
    })
    const chunks = chunksOf(contextIds, 100, prefixIds)
    for (const sweep of ['full', 'chunk', 'block'] as const)
      await expect(model.scorePairs({ prefixIds, contextIds, chunks, sweep })).rejects.toThrow(sentence)
    model.close()
  })
})
