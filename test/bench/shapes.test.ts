import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { writeSparseModel } from '../../src/bench/shapes.js'
import { loadModel } from '../../src/inference/model.js'
import { describeModel } from '../../src/model/describe.js'
import { scratchFolder } from '../scratch.js'

describe('a model shape for benchmarks', () => {
  const folder = join(scratchFolder(), 'llama3.1-70b')
  const sparse = writeSparseModel(folder, 'llama3.1-70b', 2)

  it('describes the model it is named after, with the layers asked for', () => {
    const { spec, weights } = describeModel(folder)
    expect(spec).toMatchObject({ hiddenSize: 8192, vocabSize: 128256 })
    const attention = { heads: 64, kvHeads: 8, headDim: 128 }
    expect(spec.layers).toMatchObject([{ attention }, { attention }])
    const read = weights.filter(({ role }) => role !== 'lm_head').reduce((sum, { bytes }) => sum + bytes, 0)
    expect(sparse).toMatchObject({ layers: 2, allLayers: 80, weightBytes: read })
  })

  it('shares one matrix between embedding and output where the model does', () => {
    const small = join(scratchFolder(), 'llama3.2-1b')
    const { weightBytes, decodedBytes } = writeSparseModel(small, 'llama3.2-1b')
    const { spec, weights } = describeModel(small)
    expect(spec.hiddenSize).toBe(2048)
    expect(spec.layers).toHaveLength(16)
    expect(spec.layers[0]).toMatchObject({ attention: { heads: 32, kvHeads: 8, headDim: 64 } })
    expect(weights.find(({ role }) => role === 'lm_head')?.name ?? 'model.embed_tokens.weight').toBe(
      'model.embed_tokens.weight',
    )
    // 1,235,814,400 parameters in bf16
    expect(weightBytes).toBe(2 * 1_235_814_400)
    expect(decodedBytes).toBe(weightBytes)
  })

  it('takes no room on disk', () => {
    const { size, blocks } = statSync(join(folder, 'model.safetensors'))
    expect(size).toBeGreaterThan(7e9)
    expect(blocks * 512).toBeLessThan(1e6)
  })

  it('has no weights that a CPU could use', async () => {
    await expect(loadModel(folder, { device: 'cpu', randomWeights: 1 })).rejects.toThrow(
      /random weights are for/,
    )
  })

  it('refuses more layers than the model has', () => {
    expect(() => writeSparseModel(folder, 'llama3.1-70b', 81)).toThrow(
      'layers must be an integer from 1 to 80, got 81',
    )
  })
})
