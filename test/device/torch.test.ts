import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../src/inference/model.js'
import { readJson } from '../../src/model/json-file.js'
import { Expected } from '../../src/verify/cases.js'
import { device, skipWithoutDevice } from './device.js'

/** Folder that reference.py wrote on this machine. */
const folder = process.env.HEADZIP_TORCH_REFERENCE ?? ''

interface Case {
  name: string
  /** Context tokens; several draws of the same length are judged together. */
  length: number
  sys_ids: number[]
  ctx_ids: number[]
  chunk_size: number
  repeat_inputs: number[][]
}

function skip(): boolean {
  if (skipWithoutDevice()) return true
  if (existsSync(folder)) return false
  console.info('skipped: HEADZIP_TORCH_REFERENCE names no folder that test/device/reference.py wrote')
  return true
}

function largest(a: Float32Array, b: Float32Array): number {
  let most = 0
  for (const [i, value] of a.entries()) {
    const off = Math.abs(value - b[i]!)
    if (!(off <= most)) most = off
  }
  return most
}

describe.skipIf(skip())('random models of two layers against PyTorch', () => {
  it.each(['d64', 'd128', 'd256'])('err at most twice as much as its own bf16: %s', async (name) => {
    const at = join(folder, name)
    const expected = new Expected(at)
    const model = await loadModel(at, { device })
    const { layers, vocabSize } = model.description.spec
    const { kvHeads } = layers[0]!.attention
    const found = new Map<string, { off: number; error: number }>()
    for (const test of readJson(join(at, 'cases.json')).fields.cases as Case[]) {
      const contextIds = Int32Array.from(test.ctx_ids)
      const prefixIds = Int32Array.from(test.sys_ids)
      const chunks = test.repeat_inputs.map((ids, i) => ({
        start: i * test.chunk_size,
        end: Math.min((i + 1) * test.chunk_size, contextIds.length),
        ids: Int32Array.from(ids),
      }))
      const { pairs } = await model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'full', pairs: true })
      const kv = await model.prefillIds(prefixIds, contextIds)
      for (const [quantity, ours, size] of [
        ['pair_scores', pairs!, layers.length * kvHeads * contextIds.length],
        ['logits', kv.lastLogits, vocabSize],
      ] as const) {
        const reference = expected.floats(`${test.name}/${quantity}`, size)
        const [error = Number.NaN] = expected.floats(`${test.name}/${quantity}_bf16_error`, 1)
        const off = largest(ours, reference)
        expect(reference.some((value) => Math.abs(value) > 1e-2)).toBe(true)
        expect(off).not.toBeNaN()
        const group = `${test.length} tokens, ${quantity}`
        const before = found.get(group) ?? { off: 0, error: 0 }
        found.set(group, { off: Math.max(off, before.off), error: Math.max(error, before.error) })
      }
      kv.close()
    }
    for (const [group, { off, error }] of found)
      console.info(`${name}, ${group}: off ${off.toExponential(1)}, bf16 ${error.toExponential(1)}`)
    for (const { off, error } of found.values()) expect(off).toBeLessThanOrEqual(2 * error + 1e-6)
    model.close()
  })
})
