import { createHash } from 'node:crypto'
import { closeSync, cpSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NativeEngine } from '../../src/engine/binding.js'
import type { KvCache } from '../../src/inference/kv-cache.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { describeModel } from '../../src/model/describe.js'
import { scoreHeads } from '../../src/scoring/score.js'
import { packageRoot } from '../cli/headzip.js'
import { opened } from '../engine/opened.js'
import { chunksOf, randomIds, tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { writeTinyChat } from './tiny-chat.js'

const sentence = /^the model gave a value that is not a finite number; its weights are damaged or overflow$/
const profile = 'My name is Kim. I live in Seoul and study computer science. '.repeat(4)
const query = 'What is my name?'
const long = { maxNewTokens: 12, ignoreEos: true }

describe.each<[string, number]>([
  ['a NaN', Number.NaN],
  ['an infinite number', Number.POSITIVE_INFINITY],
  ['a negative infinite number', Number.NEGATIVE_INFINITY],
])('%s in the output matrix ends with one sentence', (_, value) => {
  let good: Model
  let bad: Model
  let kv: KvCache

  // A model is told by a little of its weights, not by the value in question: it takes the other's cache for its own.
  beforeAll(async () => {
    good = await loadModel(writeTinyChat())
    const edit = (name: string, values: Float32Array): void => {
      if (name === 'lm_head.weight') values[7 * tinyShape.hidden + 5] = value
    }
    bad = await loadModel(writeTinyChat({}, edit))
    const file = join(scratchFolder(), 'profile.kv')
    await (await good.prefill(profile)).save(file)
    kv = await bad.restore(file)
  })
  afterAll(() => {
    good.close()
    bad.close()
  })

  it.each([
    ['greedy', {}],
    ['drawn', { temperature: 0.8, topP: 0.9, seed: 3 }],
    ['drawn from all', { temperature: 1, seed: 3 }],
    ['drawn from the best ten', { temperature: 1, topK: 10, seed: 3 }],
  ])('an answer that is %s, alone, beside others, streamed or in a conversation', async (_, sampling) => {
    const options = { kv, ...long, ...sampling }
    await expect(bad.generate(query, options)).rejects.toThrow(sentence)
    await expect(bad.generateBatch([query, 'Where do I live?'], options)).rejects.toThrow(sentence)
    const heard: string[] = []
    const stream = async (): Promise<void> => {
      for await (const text of bad.stream(query, options)) heard.push(text)
    }
    await expect(stream()).rejects.toThrow(sentence)
    expect(heard).toEqual([])
    const { position } = kv.info
    await expect(bad.generate(query, { ...options, updateCache: true })).rejects.toThrow(sentence)
    expect(kv.info.position).toBe(position)
  })

  it('the probabilities of an answer, and a context that is read', async () => {
    await expect(bad.logProbs(query, 'Kim', { kv })).rejects.toThrow(sentence)
    await expect(bad.prefill(profile)).rejects.toThrow(sentence)
  })

  it('and scoring, which has no use for logits, goes on', async () => {
    const options = { context: profile, chunkSize: 16 }
    expect((await scoreHeads(bad, options)).max).toEqual((await scoreHeads(good, options)).max)
  })
})

describe('values that are not finite end with one sentence', () => {
  const prefixIds = randomIds(5, tinyShape.vocab, 1)
  const contextIds = randomIds(100, tinyShape.vocab, 2)
  const chunks = chunksOf(contextIds, 50, prefixIds)

  function damaged(tensor: string, change: (values: Float32Array) => void): Promise<Model> {
    const folder = writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
      if (name === tensor) change(values)
    })
    return loadModel(folder)
  }

  it('where finite weights overflow, though a cap on logits would make numbers of that', async () => {
    const folder = writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
      if (name === 'lm_head.weight') values.fill(3e38)
    })
    const described = describeModel(folder)
    const engine = opened(described, { spec: { ...described.spec, logitCap: 30 } }) as NativeEngine
    const job = engine.prefill({ prefix: prefixIds, context: contextIds, eviction: { kind: 'none' } })
    await expect(job.promise).rejects.toThrow(sentence)
  })

  it('in the last norm', async () => {
    const model = await damaged('model.norm.weight', (values) => values.fill(Number.NaN))
    await expect(model.prefillIds(prefixIds, contextIds)).rejects.toThrow(sentence)
  })

  it('in the keys or the values of a restored cache', async () => {
    const model = await loadModel(writeTinyChat())
    const kv = await model.prefill(profile)
    const file = join(scratchFolder(), 'profile.kv')
    await kv.save(file)
    const bytes = readFileSync(file)
    const keys = 16 + bytes.readUInt32LE(12) + 4 * kv.lastLogits.length
    const entries = kv.native.lengths()[0]! * kv.model.headDim * 4
    for (const at of [keys + 40, keys + entries + 40]) {
      const body = Buffer.from(bytes.subarray(0, -32))
      body.writeFloatLE(Number.NaN, at)
      writeFileSync(file, Buffer.concat([body, createHash('sha256').update(body).digest()]))
      const damaged = await model.restore(file)
      await expect(model.generate(query, { kv: damaged, ...long })).rejects.toThrow(
        /^layer 0 gave a value that is not a finite number/,
      )
    }
  })

  it('where one token overflows a norm, and no job without it', async () => {
    const model = await damaged('model.embed_tokens.weight', (values) =>
      values.fill(1e30, 0, tinyShape.hidden),
    )
    const rest = contextIds.map((id) => Math.max(1, id))
    const kv = await model.prefillIds(
      prefixIds.map((id) => Math.max(1, id)),
      rest,
    )
    const overflows = /^layer 0 gave a value that is not a finite number/
    await expect(model.generateIds(Int32Array.of(0), { kv, ...long })).rejects.toThrow(overflows)
    await expect(model.means(Int32Array.of(1, 0))).rejects.toThrow(overflows)
    expect(
      (await model.generateIds(Int32Array.of(1), { kv, maxNewTokens: 1, ignoreEos: true })).ids,
    ).toHaveLength(1)
  })

  it('in a layer, which is named', async () => {
    const model = await damaged('model.layers.0.mlp.down_proj.weight', (values) => {
      values[0] = Number.NaN
    })
    const named = /^layer 0 gave a value that is not a finite number; its weights are damaged or overflow$/
    await expect(model.prefillIds(prefixIds, contextIds)).rejects.toThrow(named)
    await expect(model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'full' })).rejects.toThrow(named)
  })

  it.each(['kvzip', 'kvzip+'] as const)(
    'where attention overflows in a layer that only scores (%s)',
    async (method) => {
      const last = await damaged('model.layers.1.self_attn.q_proj.weight', (values) => {
        for (const [i, value] of values.entries()) values[i] = value * 1e37
      })
      const job = { prefixIds, contextIds, chunks, sweep: 'full' as const, method }
      await expect(last.scorePairs(job)).rejects.toThrow(
        /^layer 1, KV head 0 gave a value that is not a finite number; its weights are damaged or overflow$/,
      )
    },
  )

  it("in the norm of the last layer's queries, of which only scores are wanted", async () => {
    const folder = scratchFolder()
    cpSync(join(packageRoot, 'test/fixtures/models/qwen3'), folder, { recursive: true })
    const { weights, spec } = describeModel(folder)
    const last = spec.layers.length - 1
    const { file, offset } = weights.find(({ role }) => role === `layers.${last}.q_norm`)!
    const handle = openSync(file, 'r+')
    writeSync(handle, Buffer.alloc(4, 0xff), 0, 4, offset)
    closeSync(handle)
    const model = await loadModel(folder)
    await expect(model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'full' })).rejects.toThrow(
      new RegExp(`^layer ${last} gave a value that is not a finite number`),
    )
  })
})
