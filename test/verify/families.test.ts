import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../src/inference/model.js'
import { families } from '../../src/model/families/index.js'
import { verifyModel } from '../../src/verify/verify.js'

const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))

/** A folder a family, and the layers that its fixture scores. */
const folders: Record<string, { folder: string; scored: number[] }> = {
  Llama: { folder: 'llama3', scored: [0, 1, 2] },
  Mistral: { folder: 'mistral', scored: [0, 1] },
  Mixtral: { folder: 'mixtral', scored: [0, 1] },
  Qwen2: { folder: 'qwen2', scored: [0] },
  'Qwen2 MoE': { folder: 'qwen2-moe', scored: [0, 1] },
  Qwen3: { folder: 'qwen3', scored: [0, 1] },
  'Qwen3 MoE': { folder: 'qwen3-moe', scored: [0, 1] },
  'Gemma 3': { folder: 'gemma3', scored: [1] },
  'Phi-3': { folder: 'phi3', scored: [0, 1] },
}

describe('every family equals transformers in logits, scores of all sweeps, kept sets and tokens', () => {
  it.each(families.map(({ name }) => name))('%s', async (name) => {
    const { folder, scored } = folders[name]!
    const model = await loadModel(join(fixtures, folder))
    try {
      const report = await verifyModel(model)
      const failed = report.cases.flatMap((each) =>
        each.quantities.filter(({ passed }) => !passed).map((quantity) => [each.name, quantity]),
      )
      expect(failed).toEqual([])
      expect(report.passed).toBe(true)
      expect(report.cases.length).toBeGreaterThanOrEqual(2)
      expect(report.cases[0]!.quantities).toHaveLength(14)
      expect(model.identity.layers).toBe(scored.length)
    } finally {
      model.close()
    }
  })
})
