/** FP8 tensors and their scales, which published checkpoints keep in tensors of their own. */

import type { Scales } from '../engine/spec.js'
import { InputError } from '../errors.js'
import type { Quantization } from './quantization.js'
import type { StoredTensor, TensorDtype } from './safetensors.js'

/** After the weight's name. Whatever it is called, the weight is its number times the scale. */
const suffixes = ['_scale_inv', '_scale'] as const

const scaleTypes = ['F32', 'F16', 'BF16'] as const

/**
 * @param tensor a matrix in F8_E4M3
 * @throws InputError naming the tensor whose scales are missing, of a shape that says nothing, or of another type
 */
export function findScales(
  tensor: StoredTensor,
  tensors: ReadonlyMap<string, StoredTensor>,
  quantization: Quantization,
): Scales {
  const names = suffixes.map((suffix) => tensor.name + suffix)
  const scale = names.map((name) => tensors.get(name)).find((found) => found !== undefined)
  if (!scale) {
    throw new InputError(
      `${tensor.file}: tensor ${tensor.name} is stored as F8_E4M3 without scales: neither ${names.join(' nor ')} is there`,
    )
  }
  const { name, file, dtype, offset, bytes } = scale
  if (!isScaleType(dtype)) {
    throw new InputError(
      `${file}: the scales ${name} are stored as ${dtype}; supported: ${scaleTypes.join(', ')}`,
    )
  }
  return { name, file, dtype, offset, bytes, row: 0, ...gridOf(tensor, scale, quantization) }
}

/** Which block each scale is of, from the shapes. */
function gridOf(
  tensor: StoredTensor,
  scale: StoredTensor,
  { blocks }: Quantization,
): Pick<Scales, 'shape' | 'blockRows' | 'blockCols'> {
  const [rows, cols] = tensor.shape as [number, number]
  const grids = [[rows, cols] as const, [1, cols] as const, ...blocks].map(([blockRows, blockCols]) => ({
    shape: [Math.ceil(rows / blockRows), Math.ceil(cols / blockCols)] as [number, number],
    blockRows,
    blockCols,
  }))
  // One scale may be a scalar or a list of one, scales of rows may be a list.
  const { shape } = scale
  const found = shape.length === 2 ? shape : [...shape, 1, 1].slice(0, 2)
  const grid = shape.length <= 2 && grids.find((each) => each.shape.every((size, i) => size === found[i]))
  if (grid) return grid
  const possible = grids.map((each) => `[${each.shape.join(', ')}]`).join(' or ')
  throw new InputError(
    `${scale.file}: the scales ${scale.name} have shape [${shape.slice(0, 8).join(', ')}], for ${tensor.name} of shape [${rows}, ${cols}] they need ${possible}`,
  )
}

function isScaleType(dtype: TensorDtype): dtype is Scales['dtype'] {
  return (scaleTypes as readonly string[]).includes(dtype)
}
