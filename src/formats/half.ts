/** fp16 and bf16 as 16-bit patterns <-> fp32, rounding to nearest, ties to even, as PyTorch does. */

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  // Exponent 0 holds the subnormals, which have no hidden bit.
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

export function floatToHalf(value: number): number {
  float[0] = value
  const sign = (bits[0]! >>> 16) & 0x8000
  const size = Math.abs(float[0])
  if (Number.isNaN(size)) return sign | 0x7e00
  // From here on nearest-even rounds up to 2^16: infinity.
  if (size >= 65520) return sign | 0x7c00
  // One step of fp16 at this size is 2^(exponent - 10), and never less than the subnormals' 2^-24.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size))
  const steps = roundEven(size / 2 ** (exponent - 10))
  // A normal number has 1024..2048 steps; a carry out of the fraction raises the exponent by itself.
  return size < 2 ** -14 ? sign | steps : sign | (((exponent + 15) << 10) + (steps - 1024))
}

export function bfloatToFloat(bfloat: number): number {
  bits[0] = bfloat << 16
  return float[0]!
}

export function floatToBfloat(value: number): number {
  float[0] = value
  if (Number.isNaN(value)) return 0x7fc0
  const lower = bits[0]! & 0xffff
  const upper = bits[0]! >>> 16
  const up = lower > 0x8000 || (lower === 0x8000 && (upper & 1) === 1)
  return upper + (up ? 1 : 0)
}

/** Exact for the halves met here: the argument has at most 24 significant bits, scaled by a power of two. */
function roundEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}
