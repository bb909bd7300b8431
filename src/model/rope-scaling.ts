/**
 * Rotary inverse frequencies, rounded to fp32 after each operation in the order of transformers 4.57
 * (modeling_rope_utils.py), since a wrong rounding is multiplied by the position. The powers are correctly rounded;
 * PyTorch's vectorised pow misses that by one unit in the last place for about one value in a hundred.
 *
 * `dim` is the number of values of a head that rotate: head_dim, or a part of it. Results hold dim / 2 frequencies.
 */

import type { Rope } from '../engine/spec.js'

const f32 = Math.fround

/** theta^(2i / dim), the inverse of the plain frequencies */
function powers(theta: number, dim: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, i) => f32(f32(theta) ** f32((2 * i) / dim)))
}

/** @returns theta^(-2i / dim) */
export function inverseFrequencies(theta: number, dim: number): Float32Array {
  return powers(theta, dim).map((power) => f32(1 / power))
}

/** `rope_type: linear`: positions count for a `factor`-th. */
export function scaleLinear(invFreq: Float32Array, factor: number): Float32Array {
  return invFreq.map((freq) => f32(freq / f32(factor)))
}

/**
 * `rope_type: dynamic`: a larger theta for sequences longer than `maxPositions`, the longer the larger.
 * @param positions length of the sequence
 */
export function dynamicFrequencies(
  theta: number,
  dim: number,
  scaling: { factor: number; maxPositions: number; positions: number },
): Float32Array {
  const { factor, maxPositions, positions } = scaling
  if (positions <= maxPositions) return inverseFrequencies(theta, dim)
  const stretch = f32(f32(f32(f32(factor) * positions) / maxPositions) - f32(factor - 1))
  return inverseFrequencies(f32(theta * f32(stretch ** f32(dim / (dim - 2)))), dim)
}

/** The numbers of `rope_type: llama3`. Wavelengths are in positions. */
export interface Llama3Scaling {
  factor: number
  lowFreqFactor: number
  highFreqFactor: number
  originalMaxPositions: number
}

/** Long wavelengths are divided by the factor, short ones stay, those between are blended. */
export function scaleLlama3(invFreq: Float32Array, scaling: Llama3Scaling): Float32Array {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositions: original } = scaling
  const longest = f32(original / low)
  const shortest = f32(original / high)
  return invFreq.map((freq) => {
    const wavelength = f32(f32(1 / freq) * f32(2 * Math.PI))
    if (wavelength < shortest) return freq
    if (wavelength > longest) return f32(freq / f32(factor))
    const smooth = f32(f32(f32(f32(1 / wavelength) * f32(original)) - f32(low)) / f32(high - low))
    return f32(f32(f32(f32(1 - smooth) * freq) / f32(factor)) + f32(smooth * freq))
  })
}

/** The numbers of `rope_type: yarn` (arXiv 2309.00071). */
export interface YarnScaling {
  factor: number
  originalMaxPositions: number
  /** Rotations over the original length: dimensions that rotate more often stay, those that rotate less are stretched. */
  betaFast?: number
  betaSlow?: number
  /** Round the bounds between them to whole dimensions. */
  truncate?: boolean
  /** Factor on cos and sin; 0.1 ln(factor) + 1 when left out. */
  attentionFactor?: number | undefined
}

export function yarnRope(theta: number, dim: number, scaling: YarnScaling): Rope {
  const { factor, originalMaxPositions, betaFast = 32, betaSlow = 1, truncate = true } = scaling
  const bound = (rotations: number): number =>
    (dim * Math.log(originalMaxPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(theta))
  const low = Math.max(truncate ? Math.floor(bound(betaFast)) : bound(betaFast), 0)
  const high = Math.min(truncate ? Math.ceil(bound(betaSlow)) : bound(betaSlow), dim - 1)
  const width = f32(low === high ? 0.001 : high - low)
  const invFreq = powers(theta, dim).map((power, i) => {
    const ramp = Math.min(Math.max(f32(f32(i - low) / width), 0), 1)
    const stay = f32(1 - ramp)
    const stretched = f32(1 / f32(f32(factor) * power))
    return f32(f32(stretched * f32(1 - stay)) + f32(f32(1 / power) * stay))
  })
  return { invFreq, scale: scaling.attentionFactor ?? yarnScale(factor) }
}

/** @param mscale factor on the logarithm */
export function yarnScale(factor: number, mscale = 1): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1
}

/** `rope_type: longrope`: a factor of its own for every frequency. @param factors (dim / 2) */
export function longRopeFrequencies(theta: number, dim: number, factors: number[]): Float32Array {
  return powers(theta, dim).map((power, i) => f32(1 / f32(f32(factors[i]!) * power)))
}
