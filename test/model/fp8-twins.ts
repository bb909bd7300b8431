/** A tiny Llama in FP8, and its twin of the same numbers in fp32. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { floatToBfloat, floatToHalf } from '../../src/formats/half.js'
import { type TinyShape, tensorShapes, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { Random } from './damage.js'
import { writeSafetensors } from './write-safetensors.js'

const table = fileURLToPath(new URL('../fixtures/fp8/e4m3fn.json', import.meta.url))

/** What the 256 bytes stand for, by PyTorch; NaN for two. */
export const e4m3 = Float32Array.from(
  (JSON.parse(readFileSync(table, 'utf8')) as { values: (number | null)[] }).values,
  (value) => value ?? Number.NaN,
)

/** One matrix as a checkpoint holds it. */
export interface Fp8Matrix {
  bytes: Uint8Array
  scales: Float32Array
}

export interface Fp8Format {
  /** Rows and columns that share a scale. */
  block: [number, number]
  /** `weight_scale_inv` */
  suffix?: string
  scaleType?: 'F32' | 'F16' | 'BF16'
  /** Shape of the scales; two sizes when left out. */
  scaleShape?: (grid: [number, number]) => number[]
  /** Which matrices are FP8; all of the layers when left out. */
  quantised?: (name: string) => boolean
  /** Changes a matrix before it is written. */
  edit?: (name: string, matrix: Fp8Matrix) => void
  /** `quantization_config`; blocks as Qwen3 has them when left out. */
  config?: object
}

/** @returns two folders: the model in FP8, and the same numbers in fp32 */
export function writeFp8Twins(shape: TinyShape, format: Fp8Format): { fp8: string; wide: string } {
  const { block, suffix = '_scale_inv', scaleType = 'F32', scaleShape = (grid) => grid, edit } = format
  const quantised = format.quantised ?? ((name) => name.includes('layers.') && !name.includes('norm'))
  const matrices = new Map<string, { matrix: Fp8Matrix; grid: [number, number] }>()
  const random = new Random(11)
  for (const [name, [rows = 1, cols = 1]] of Object.entries(tensorShapes(shape))) {
    if (!quantised(name)) continue
    const grid: [number, number] = [Math.ceil(rows / block[0]), Math.ceil(cols / block[1])]
    const bytes = Uint8Array.from({ length: rows * cols }, () => random.below(127) + 128 * random.below(2))
    // Powers of two times 1, 1.25, 1.5 or 1.75: the same in every type.
    const scales = Float32Array.from(
      { length: grid[0] * grid[1] },
      () => 2 ** -(10 + random.below(3)) * (1 + random.below(4) / 4),
    )
    const matrix = { bytes, scales }
    edit?.(name, matrix)
    matrices.set(name, { matrix, grid })
  }

  const wide = join(scratchFolder(), 'model')
  mkdirSync(wide)
  const tensors: { name: string; dtype: string; shape: number[]; bytes: Buffer }[] = []
  writeTinyModel(wide, shape, (name, values) => {
    const dims = tensorShapes(shape)[name]!
    const found = matrices.get(name)
    if (!found) {
      tensors.push({ name, dtype: 'F32', shape: dims, bytes: Buffer.from(values.slice().buffer) })
      return
    }
    const { matrix, grid } = found
    const [, cols] = dims as [number, number]
    for (const [i, byte] of matrix.bytes.entries()) {
      const at = Math.floor(Math.floor(i / cols) / block[0]) * grid[1] + Math.floor((i % cols) / block[1])
      values[i] = e4m3[byte]! * matrix.scales[at]!
    }
    tensors.push({ name, dtype: 'F8_E4M3', shape: dims, bytes: Buffer.from(matrix.bytes) })
    const scales = inType(matrix.scales, scaleType)
    tensors.push({ name: name + suffix, dtype: scaleType, shape: scaleShape(grid), bytes: scales })
  })

  const fp8 = join(scratchFolder(), 'model')
  mkdirSync(fp8)
  const header: Record<string, object> = {}
  let offset = 0
  for (const { name, dtype, shape: dims, bytes } of tensors) {
    header[name] = { dtype, shape: dims, data_offsets: [offset, offset + bytes.length] }
    offset += bytes.length
  }
  writeSafetensors(join(fp8, 'model.safetensors'), header, Buffer.concat(tensors.map(({ bytes }) => bytes)))
  const config = JSON.parse(readFileSync(join(wide, 'config.json'), 'utf8')) as object
  const quantization = format.config ?? { quant_method: 'fp8', fmt: 'e4m3', weight_block_size: block }
  writeFileSync(join(fp8, 'config.json'), JSON.stringify({ ...config, quantization_config: quantization }))
  return { fp8, wide }
}

function inType(values: Float32Array, type: 'F32' | 'F16' | 'BF16'): Buffer {
  if (type === 'F32') return Buffer.from(values.slice().buffer)
  const bytes = Buffer.alloc(2 * values.length)
  for (const [i, value] of values.entries())
    bytes.writeUInt16LE(type === 'F16' ? floatToHalf(value) : floatToBfloat(value), 2 * i)
  return bytes
}
