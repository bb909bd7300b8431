import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/engine/binding.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { describeModel } from '../../src/model/describe.js'
import type { VerifyReport } from '../../src/verify/verify.js'
import { packageRoot } from '../cli/headzip.js'
import { chunksOf, randomIds, tinyShape } from '../engine/tiny.js'
import { e4m3, type Fp8Format, writeFp8Twins } from './fp8-twins.js'

const fixtures = join(packageRoot, 'test/fixtures/models')
const sets = ['baseline', 'avx2', 'avx512']
const known = sets.slice(0, sets.indexOf(loadAddon().devices().isa) + 1)

describe('checkpoints in FP8 give the numbers that transformers gives with their weights multiplied out', () => {
  const folders = ['fp8-block', 'fp8-channel', 'fp8-tensor']
  it.each(folders.flatMap((folder) => known.map((isa) => ({ folder, isa }))))('$folder on $isa', (each) => {
    const out = execFileSync(
      process.execPath,
      [join(packageRoot, 'dist/cli/main.js'), 'verify', join(fixtures, each.folder), '--json'],
      { env: { ...process.env, HEADZIP_CPU: each.isa } },
    )
    const { cases, passed } = JSON.parse(out.toString()) as VerifyReport
    expect(cases.flatMap(({ quantities }) => quantities).filter((quantity) => !quantity.passed)).toEqual([])
    expect(cases).toHaveLength(2)
    expect(passed).toBe(true)
  })

  it.each([
    ['fp8-block', [20, 24], 'BF16'],
    ['fp8-channel', [1, 32], 'F32'],
    ['fp8-tensor', [1, 32], 'BF16'],
  ])('%s stays FP8 in memory, with its scales beside it', (folder, [blockRows, blockCols], dtype) => {
    const { weights } = describeModel(join(fixtures, folder))
    const gate = weights.find(({ role }) => role === 'layers.0.gate')!
    expect(gate.dtype).toBe('F8_E4M3')
    expect(gate.bytes).toBe(48 * 32)
    expect(gate.scales).toMatchObject({ dtype, blockRows, blockCols, row: 0 })
    expect(weights.find(({ role }) => role === 'embed')?.scales).toBeUndefined()
  })
})

async function withModel<T>(folder: string, act: (model: Model) => Promise<T>): Promise<T> {
  const model = await loadModel(folder, { threads: 2 })
  try {
    return await act(model)
  } finally {
    model.close()
  }
}

const lastLogits = (folder: string, ids: Int32Array): Promise<Float32Array> =>
  withModel(folder, async (model) => {
    const kv = await model.prefillIds(ids.subarray(0, 3), ids.subarray(3))
    try {
      return kv.lastLogits
    } finally {
      kv.close()
    }
  })

describe('the 256 numbers of float8_e4m3fn', () => {
  const nan = [0x7f, 0xff]
  const shape = { ...tinyShape, vocab: 256, hidden: 64 }
  /** Row r is the byte r in its first column, and zeros. */
  const rows = (skip: number[]): Fp8Format => ({
    block: [256, 64],
    quantised: (name) => name === 'lm_head.weight' || name === 'model.embed_tokens.weight',
    edit: (name, { bytes, scales }) => {
      scales.fill(1)
      if (name === 'lm_head.weight') bytes.fill(0)
      for (let i = 0; i < bytes.length; i++) {
        const byte = Math.floor(i / 64)
        if (name !== 'lm_head.weight' || i % 64 === 0) bytes[i] = skip.includes(byte) ? 0 : byte
      }
    },
  })

  it('are what PyTorch makes of the bytes', async () => {
    expect(e4m3).toHaveLength(256)
    expect(Math.max(...e4m3.filter((value) => !Number.isNaN(value)))).toBe(448)
    const { fp8, wide } = writeFp8Twins(shape, rows(nan))
    const ids = Int32Array.from({ length: 256 }, (_, i) => i)
    const logits = await lastLogits(fp8, ids)
    expect([...logits]).toEqual([...(await lastLogits(wide, ids))])
    // Each is its byte's number times one and the same.
    const factor = logits[0x38]!
    expect(e4m3[0x38]).toBe(1)
    expect(Math.abs(factor)).toBeGreaterThan(0.01)
    for (const byte of logits.keys()) {
      if (!nan.includes(byte)) expect(logits[byte]! / factor).toBeCloseTo(e4m3[byte]!, 3)
    }
  })

  it.each(nan)('hold a NaN at %i, which no answer is made of', async (byte) => {
    const { fp8 } = writeFp8Twins(shape, rows(nan.filter((other) => other !== byte)))
    await expect(lastLogits(fp8, Int32Array.of(1, 2, 3, byte, 5))).rejects.toThrow(/not a finite number/)
  })
})

describe('FP8 weights and the same in fp32 score alike', () => {
  // Blocks of 128 end within the weights; a depth of 700 is packed in several runs.
  const shape = { ...tinyShape, hidden: 160, heads: 4, kvHeads: 2, headDim: 48, inner: 700, vocab: 64 }
  const prefixIds = randomIds(5, shape.vocab, 1)
  const contextIds = randomIds(60, shape.vocab, 2)
  const chunks = chunksOf(contextIds, 32, prefixIds)

  it.each<[string, Fp8Format]>([
    ['blocks of 128 x 128', { block: [128, 128], scaleType: 'BF16' }],
    ['blocks of 40 x 24, scales in F16', { block: [40, 24], scaleType: 'F16' }],
    ['blocks of 7 x 3', { block: [7, 3] }],
    ['one scale a row', { block: [1, 1000], suffix: '_scale', config: { quant_method: 'fbgemm_fp8' } }],
    [
      'one scale a row, as a list',
      {
        block: [1, 1000],
        suffix: '_scale',
        scaleShape: ([rows]) => [rows],
        config: { quant_method: 'modelopt', quant_algo: 'FP8_PER_CHANNEL_PER_TOKEN' },
      },
    ],
    [
      'one scalar a tensor',
      {
        block: [1000, 1000],
        suffix: '_scale',
        scaleShape: () => [],
        config: { quant_method: 'modelopt', quant_algo: 'FP8' },
      },
    ],
    [
      'groups of 32 in a row, and the embedding',
      {
        block: [1, 32],
        suffix: '_scale',
        quantised: (name) => !name.includes('norm'),
        config: {
          quant_method: 'compressed-tensors',
          config_groups: {
            a: { weights: { type: 'float', num_bits: 8, strategy: 'group', group_size: 32 } },
          },
        },
      },
    ],
  ])('%s', async (_, format) => {
    const { fp8, wide } = writeFp8Twins(shape, format)
    const scores = (folder: string) =>
      withModel(folder, (model) =>
        model.scorePairs({ prefixIds, contextIds, chunks, sweep: 'full', pairs: true }),
      )
    const [narrow, expected] = [await scores(fp8), await scores(wide)]
    expect(largest(expected.pairs!)).toBeGreaterThan(0.1)
    expect(difference(narrow.pairs!, expected.pairs!)).toBeLessThan(2e-6)
    const logits = await lastLogits(wide, contextIds)
    expect(largest(logits)).toBeGreaterThan(0.1)
    expect(difference(await lastLogits(fp8, contextIds), logits)).toBeLessThan(1e-4)
  })
})

const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
const difference = (a: Float32Array, b: Float32Array): number => largest(a.map((value, i) => value - b[i]!))
