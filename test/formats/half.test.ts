import { describe, expect, test } from 'vitest'
import { bfloatToFloat, floatToBfloat, floatToHalf, halfToFloat } from '../../src/formats/half.js'

describe('fp16', () => {
  test('every finite value survives the way to fp32 and back', () => {
    for (let bits = 0; bits < 0x10000; bits++)
      if ((bits & 0x7c00) !== 0x7c00) expect(floatToHalf(halfToFloat(bits))).toBe(bits)
  })

  test.each([
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.5, 0x0001],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2 - 2 ** -12, 0x4000],
  ])('%s becomes 0x%s, ties to even', (value, bits) => {
    expect(floatToHalf(value)).toBe(bits)
  })

  test('NaN stays NaN', () => {
    expect(halfToFloat(floatToHalf(Number.NaN))).toBeNaN()
    expect(halfToFloat(0x7c00)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('bf16', () => {
  test('every finite value survives the way to fp32 and back', () => {
    for (let bits = 0; bits < 0x10000; bits++)
      if ((bits & 0x7f80) !== 0x7f80) expect(floatToBfloat(bfloatToFloat(bits))).toBe(bits)
  })

  test.each([
    [1, 0x3f80],
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    [0.998, 0x3f7f],
    [0.9985, 0x3f80],
    [3.4e38, 0x7f80],
  ])('%s becomes 0x%s, ties to even', (value, bits) => {
    expect(floatToBfloat(value)).toBe(bits)
  })

  test('NaN stays NaN', () => {
    expect(bfloatToFloat(floatToBfloat(Number.NaN))).toBeNaN()
  })
})
