import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSafetensorsHeader, readTensorBytes } from '../../src/model/safetensors.js'
import { scratchFolder } from '../scratch.js'
import { refusalOf } from './refusal.js'
import { writeSafetensors } from './write-safetensors.js'

const file = join(scratchFolder(), 'm.safetensors')
const tensor = (shape: unknown, span: unknown, dtype: unknown = 'F32'): object => ({
  dtype,
  shape,
  data_offsets: span,
})

const refusal = (act: () => unknown): string => refusalOf(act, file, 'FILE')

describe('a safetensors header', () => {
  it('gives each tensor its type, shape and place from the start of the file', () => {
    const header = {
      __metadata__: { format: 'pt' },
      a: tensor([2, 2], [0, 16]),
      b: tensor([3], [16, 22], 'BF16'),
    }
    const data = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer).subarray(0, 22)
    const { tensors, json } = readSafetensorsHeader(writeSafetensors(file, header, data))
    expect([...tensors.keys()]).toEqual(['a', 'b'])
    expect(tensors.get('b')).toEqual({
      name: 'b',
      file,
      dtype: 'BF16',
      shape: [3],
      offset: 8 + json.length + 16,
      bytes: 6,
    })
    expect(readTensorBytes(tensors.get('a')!)).toEqual(data.subarray(0, 16))
  })

  it('may hold scalars and empty tensors', () => {
    const header = { scalar: tensor([], [0, 4]), empty: tensor([0, 7], [4, 4]) }
    const { tensors } = readSafetensorsHeader(writeSafetensors(file, header, Buffer.alloc(4)))
    expect(tensors.get('scalar')?.bytes).toBe(4)
    expect(tensors.get('empty')?.bytes).toBe(0)
  })

  it.each<[string, object | string, number, string]>([
    ['text that is not JSON', '{"a":', 0, 'FILE has a header that is not JSON: '],
    ['an array', '[]', 0, 'FILE has a header that is not a JSON object'],
    [
      'a tensor named twice',
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{}}',
      4,
      'FILE names the tensor a twice',
    ],
    ['no dtype', { a: { shape: [1], data_offsets: [0, 4] } }, 4, 'FILE: tensor a has no dtype'],
    ['null for a tensor', { a: null }, 4, 'FILE: tensor a has no dtype'],
    ['an unknown dtype', { a: tensor([1], [0, 4], 'Q4') }, 4, 'FILE: tensor a has the unknown dtype Q4'],
    [
      'a dtype named like a method',
      { a: tensor([1], [0, 4], 'toString') },
      4,
      'FILE: tensor a has the unknown dtype toString',
    ],
    [
      'a negative size',
      { a: tensor([-1], [0, 4]) },
      4,
      'FILE: tensor a has no shape of non-negative integers',
    ],
    [
      'a fractional size',
      { a: tensor([1.5], [0, 6]) },
      6,
      'FILE: tensor a has no shape of non-negative integers',
    ],
    ['one offset', { a: tensor([1], [0]) }, 4, 'FILE: tensor a has no pair of data_offsets'],
    [
      'an end before the start',
      { a: tensor([1], [4, 0]) },
      4,
      'FILE: tensor a ends at byte 0, before its start at 4',
    ],
    [
      'a span that does not fit',
      { a: tensor([2, 2], [0, 12]) },
      16,
      'FILE: tensor a of shape [2, 2] in F32 needs 16 bytes, its data_offsets span 12',
    ],
    [
      'a size that overflows',
      { a: tensor([2 ** 40, 2 ** 40], [0, 0]) },
      4,
      'FILE: tensor a of shape [1099511627776, 1099511627776] in F32 needs Infinity bytes, its data_offsets span 0',
    ],
    [
      'a tensor past the end',
      { a: tensor([4], [0, 16]) },
      9,
      'FILE is truncated: tensor a ends 7 bytes past the end of the file',
    ],
    [
      'overlapping tensors',
      { a: tensor([2], [0, 8]), b: tensor([2], [4, 12]) },
      12,
      'FILE: tensors a and b overlap',
    ],
  ])('is refused with one sentence for %s', (_, header, bytes, sentence) => {
    writeSafetensors(file, header, Buffer.alloc(bytes))
    expect(refusal(() => readSafetensorsHeader(file))).toContain(sentence)
  })

  it.each<[string, Buffer, string]>([
    [
      'an empty file',
      Buffer.alloc(0),
      'FILE is not a safetensors file: it has 0 bytes, its header needs at least 8',
    ],
    [
      'a header of 1 TiB',
      Buffer.from([0, 0, 0, 0, 0, 1, 0, 0]),
      'FILE announces a header of 1099511627776 bytes, more than the 8388608 that are allowed',
    ],
    [
      'a header longer than the file',
      Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0x7b]),
      'FILE is truncated: its header needs 9 bytes, 1 are left in the file',
    ],
  ])('is refused with one sentence for %s', (_, bytes, sentence) => {
    writeFileSync(file, bytes)
    expect(refusal(() => readSafetensorsHeader(file))).toBe(sentence)
  })

  it('is refused by the system error where the file cannot be opened', () => {
    expect(refusal(() => readSafetensorsHeader(`${file}.none`))).toContain(
      'FILE.none cannot be opened: ENOENT',
    )
  })
})
