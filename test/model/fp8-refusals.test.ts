import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../src/inference/model.js'
import { describeModel } from '../../src/model/describe.js'
import { packageRoot } from '../cli/headzip.js'
import { tinyShape } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { writeFp8Twins } from './fp8-twins.js'
import { refusalOf } from './refusal.js'

const fixtures = join(packageRoot, 'test/fixtures/models')

describe('parts of a fused FP8 tensor', () => {
  it('find their rows among the scales', () => {
    const folder = join(scratchFolder(), 'model')
    cpSync(join(fixtures, 'phi3'), folder, { recursive: true })
    const { weights } = describeModel(folder)
    const name = 'model.layers.0.self_attn.qkv_proj.weight'
    const rows = weights.filter((weight) => weight.name === name).map(({ shape }) => shape[0]!)
    const cols = weights.find((weight) => weight.name === name)!.shape[1]!
    asFp8(folder, name, [rows.reduce((sum, each) => sum + each, 0), cols])
    const parts = describeModel(folder).weights.filter((weight) => weight.name === name)
    expect(parts.map(({ scales }) => scales?.row)).toEqual([0, rows[0], rows[0]! + rows[1]!])
    expect(parts[1]!.offset - parts[0]!.offset).toBe(rows[0]! * cols)
  })
})

/** Says in the header that a tensor is FP8 with a scale a row, without changing the bytes. */
function asFp8(folder: string, name: string, [rows, cols]: [number, number]): void {
  editHeader(folder, (header) => {
    const [begin] = header[name]!.data_offsets
    header[name] = { dtype: 'F8_E4M3', shape: [rows, cols], data_offsets: [begin, begin + rows * cols] }
    const end = begin + rows * cols
    header[`${name}_scale`] = { dtype: 'F32', shape: [rows, 1], data_offsets: [end, end + 4 * rows] }
  })
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>

function editHeader(folder: string, change: (header: Header) => void): void {
  const file = join(folder, 'model.safetensors')
  const bytes = readFileSync(file)
  const end = 8 + Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.toString('utf8', 8, end)) as Header
  change(header)
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  writeFileSync(file, Buffer.concat([length, json, bytes.subarray(end)]))
}

describe('one sentence for', () => {
  const up = 'model.layers.0.mlp.up_proj.weight'
  const scales = `${up}_scale_inv`

  function refusal(change: (folder: string) => void): string {
    const folder = join(scratchFolder(), 'tiny')
    cpSync(join(fixtures, 'fp8-block'), folder, { recursive: true })
    change(folder)
    return refusalOf(() => describeModel(folder), folder, 'tiny')
  }
  const header = (change: (header: Header) => void) => (folder: string) => editHeader(folder, change)
  const quantization = (fields: object) => (folder: string) => {
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, quantization_config: fields }))
  }
  const methods = 'one of fp8, compressed-tensors, fbgemm_fp8, modelopt'
  const int4 = { config_groups: { group_0: { weights: { type: 'int', num_bits: 4 } } } }

  it.each<[string, (folder: string) => void, string]>([
    [
      'scales that are missing',
      header((tensors) => delete tensors[scales]),
      `tiny/model.safetensors: tensor ${up} is stored as F8_E4M3 without scales: neither ${up}_scale_inv nor ${up}_scale is there`,
    ],
    [
      'scales of another shape',
      header((tensors) => {
        tensors[scales]!.shape = [2, 3]
      }),
      `tiny/model.safetensors: the scales ${scales} have shape [2, 3], for ${up} of shape [48, 32] they need [1, 1] or [48, 1] or [3, 2]`,
    ],
    [
      'scales of another type',
      header((tensors) => {
        tensors[scales]!.dtype = 'I16'
      }),
      `tiny/model.safetensors: the scales ${scales} are stored as I16; supported: F32, F16, BF16`,
    ],
    [
      'weights of another FP8',
      header((tensors) => {
        tensors[up]!.dtype = 'F8_E5M2'
      }),
      `tiny/model.safetensors: tensor ${up} is stored as F8_E5M2; supported: F32, F16, BF16, F8_E4M3`,
    ],
    [
      'a norm in FP8',
      header((tensors) => {
        const norm = tensors['model.norm.weight']!
        norm.dtype = 'F8_E4M3'
        norm.data_offsets[1] -= 32
      }),
      'tiny/model.safetensors: tensor model.norm.weight is a vector stored as F8_E4M3',
    ],
    [
      'awq',
      quantization({ quant_method: 'awq', bits: 4 }),
      `tiny/config.json: quantization_config.quant_method must be ${methods}, got "awq"`,
    ],
    [
      'gptq',
      quantization({ quant_method: 'gptq', bits: 4 }),
      `tiny/config.json: quantization_config.quant_method must be ${methods}, got "gptq"`,
    ],
    [
      'bitsandbytes without a name',
      quantization({ load_in_8bit: true }),
      `tiny/config.json: quantization_config.quant_method must be ${methods}, it is missing`,
    ],
    [
      'another FP8 by name',
      quantization({ quant_method: 'fp8', fmt: 'e5m2' }),
      'tiny/config.json: quantization_config.fmt must be e4m3, got "e5m2"',
    ],
    [
      'blocks that are none',
      quantization({ quant_method: 'fp8', weight_block_size: [128, 0] }),
      'tiny/config.json: quantization_config.weight_block_size must be two positive integers, got [128,0]',
    ],
    [
      'integers by compressed-tensors',
      quantization({ quant_method: 'compressed-tensors', ...int4 }),
      'tiny/config.json: quantization_config.config_groups.group_0.weights.type must be float, got "int"',
    ],
    [
      'NVFP4',
      quantization({ quant_method: 'modelopt', quant_algo: 'NVFP4' }),
      'tiny/config.json: quantization_config.quant_algo must be one of FP8, FP8_PER_CHANNEL_PER_TOKEN, got "NVFP4"',
    ],
  ])('%s', (_, change, sentence) => {
    expect(refusal(change)).toBe(sentence)
  })

  it.each([
    ['NaN', Number.NaN],
    ['infinite', Number.POSITIVE_INFINITY],
    ['negative', -1],
  ])('a scale that is %s', async (_, value) => {
    const { fp8 } = writeFp8Twins(tinyShape, {
      block: [16, 16],
      edit: (name, { scales: all }) => {
        if (name === 'model.layers.1.mlp.down_proj.weight') all[3] = value
      },
    })
    await expect(loadModel(fp8)).rejects.toThrow(
      /model\.safetensors: scale 3 of model\.layers\.1\.mlp\.down_proj\.weight_scale_inv must be a finite number of at least 0, got -?(nan|inf|1\.0+)$/,
    )
  })
})
