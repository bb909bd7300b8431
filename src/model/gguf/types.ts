/** Tensor types of GGUF files (ggml.h): their numbers, and how many bytes a block of elements takes. */

import type { StoredType } from '../../engine/spec.js'

export interface TensorType {
  name: string
  /** Elements of a block. */
  elements: number
  /** Bytes of a block. */
  bytes: number
}

/** By ggml's number. Those that the engine does not compute with are known by size, so that the file can be checked. */
const types: Readonly<Record<number, TensorType>> = {
  0: { name: 'F32', elements: 1, bytes: 4 },
  1: { name: 'F16', elements: 1, bytes: 2 },
  2: { name: 'Q4_0', elements: 32, bytes: 18 },
  3: { name: 'Q4_1', elements: 32, bytes: 20 },
  6: { name: 'Q5_0', elements: 32, bytes: 22 },
  7: { name: 'Q5_1', elements: 32, bytes: 24 },
  8: { name: 'Q8_0', elements: 32, bytes: 34 },
  9: { name: 'Q8_1', elements: 32, bytes: 36 },
  10: { name: 'Q2_K', elements: 256, bytes: 84 },
  11: { name: 'Q3_K', elements: 256, bytes: 110 },
  12: { name: 'Q4_K', elements: 256, bytes: 144 },
  13: { name: 'Q5_K', elements: 256, bytes: 176 },
  14: { name: 'Q6_K', elements: 256, bytes: 210 },
  15: { name: 'Q8_K', elements: 256, bytes: 292 },
  16: { name: 'IQ2_XXS', elements: 256, bytes: 66 },
  17: { name: 'IQ2_XS', elements: 256, bytes: 74 },
  18: { name: 'IQ3_XXS', elements: 256, bytes: 98 },
  19: { name: 'IQ1_S', elements: 256, bytes: 50 },
  20: { name: 'IQ4_NL', elements: 32, bytes: 18 },
  21: { name: 'IQ3_S', elements: 256, bytes: 110 },
  22: { name: 'IQ2_S', elements: 256, bytes: 82 },
  23: { name: 'IQ4_XS', elements: 256, bytes: 136 },
  24: { name: 'I8', elements: 1, bytes: 1 },
  25: { name: 'I16', elements: 1, bytes: 2 },
  26: { name: 'I32', elements: 1, bytes: 4 },
  27: { name: 'I64', elements: 1, bytes: 8 },
  28: { name: 'F64', elements: 1, bytes: 8 },
  29: { name: 'IQ1_M', elements: 256, bytes: 56 },
  30: { name: 'BF16', elements: 1, bytes: 2 },
  34: { name: 'TQ1_0', elements: 256, bytes: 54 },
  35: { name: 'TQ2_0', elements: 256, bytes: 66 },
  39: { name: 'MXFP4', elements: 32, bytes: 17 },
}

export function tensorType(number: number): TensorType | undefined {
  return Object.hasOwn(types, number) ? types[number] : undefined
}

/** Types that the engine computes with. */
export const computable: readonly string[] = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q4_K',
  'Q5_K',
  'Q6_K',
] satisfies StoredType[]

export function isComputable(name: string): name is StoredType {
  return computable.includes(name)
}
