import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { type VerifyReport, verifyModel } from '../../src/verify/verify.js'
import { scratchFolder } from '../scratch.js'

const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))

async function withFixture<T>(name: string, use: (model: Model) => Promise<T>): Promise<T> {
  const model = await loadModel(join(fixtures, name))
  try {
    return await use(model)
  } finally {
    model.close()
  }
}

function failed(report: VerifyReport): string[] {
  const all = report.cases.flatMap(({ name, quantities }) =>
    quantities.map((quantity) => ({ ...quantity, name: `${name} ${quantity.name}` })),
  )
  return all.filter(({ passed }) => !passed).map(({ name, difference }) => `${name}: ${difference}`)
}

describe('verifying a model', () => {
  it.each(['llama3', 'llama-sharded'])('finds %s equal to transformers in all its cases', async (name) => {
    const report = await withFixture(name, (model) => verifyModel(model))
    expect(failed(report)).toEqual([])
    expect(report.passed).toBe(true)
    expect(report.cases).toHaveLength(9)
    expect(report.cases[0]?.quantities.map((quantity) => quantity.name)).toEqual([
      'layer_ids',
      'pair_scores',
      'head_scores',
      'keep_head',
      'keep_pair',
      'pair_scores_chunk',
      'pair_scores_block',
      'prefill_logits',
      'logits_full',
      'tokens_full',
      'logits_head',
      'tokens_head',
      'logits_pair',
      'tokens_pair',
    ])
  })

  it("fails every case against another model's numbers", async () => {
    const report = await withFixture('llama3', (model) =>
      verifyModel(model, { cases: join(fixtures, 'llama-sharded') }),
    )
    expect(report.passed).toBe(false)
    expect(report.cases.every(({ passed }) => !passed)).toBe(true)
  })

  it('fails what a tighter tolerance refuses, and only that', async () => {
    const report = await withFixture('llama3', (model) => verifyModel(model, { tolerances: { logits: 0 } }))
    const names = new Set(failed(report).map((line) => line.replace(/^\S+ |:.*/g, '')))
    expect([...names].sort()).toEqual(['logits_full', 'logits_head', 'logits_pair', 'prefill_logits'])
  })

  it('refuses cases that are missing or malformed, with the field', async () => {
    const folder = join(scratchFolder(), 'cases')
    const verify = (): Promise<VerifyReport> =>
      withFixture('llama3', (model) => verifyModel(model, { cases: folder }))
    await expect(verify()).rejects.toThrow(
      `${folder} holds no cases.json, so there is nothing to verify against`,
    )
    cpSync(join(fixtures, 'llama3'), folder, { recursive: true })
    writeFileSync(
      join(folder, 'cases.json'),
      '{"cases": [{"name": "a", "repeat_inputs": [], "ctx_ids": [1, -1]}]}',
    )
    await expect(verify()).rejects.toThrow(
      `${folder}/cases.json, case 0: ctx_ids must be a list of token ids`,
    )
    rmSync(join(folder, 'cases.json'))
    cpSync(join(fixtures, 'llama3/cases.json'), join(folder, 'cases.json'))
    cpSync(join(fixtures, 'llama3/model.safetensors'), join(folder, 'expected.safetensors'))
    await expect(verify()).rejects.toThrow(
      `${folder}/expected.safetensors holds no tensor ctx40_chunk64/layer_ids`,
    )
  })
})
