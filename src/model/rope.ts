/**
 * Rotary inverse frequencies, rounded to fp32 after each operation in the order of transformers 4.57
 * (modeling_rope_utils.py), since a wrong rounding is multiplied by the position. The powers are correctly rounded;
 * PyTorch's vectorised pow misses that by one unit in the last place for about one value in a hundred.
 */

import type { Rope } from '../engine/spec.js'
import type { Config } from './config.js'

const f32 = Math.fround

/** @returns (head_dim / 2) theta^(-2i / head_dim) */
export function inverseFrequencies(theta: number, headDim: number): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) =>
    f32(1 / f32(f32(theta) ** f32((2 * i) / headDim))),
  )
}

/** The numbers of `rope_type: llama3`. Wavelengths are in positions. */
export interface Llama3Scaling {
  factor: number
  lowFreqFactor: number
  highFreqFactor: number
  originalMaxPositions: number
}

/**
 * Long wavelengths are divided by the factor, short ones stay, those between are blended.
 * @param invFreq (head_dim / 2)
 */
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

/**
 * Rope of a config with `rope_theta` and `rope_scaling` (also spelt `type` for `rope_type`, and `rope_parameters` for
 * both together, as transformers 5 writes it).
 * @param defaultTheta what the architecture uses when the config says nothing
 */
export function readRope(config: Config, headDim: number, defaultTheta: number): Rope {
  const scaling = config.section('rope_parameters') ?? config.section('rope_scaling')
  const theta = (scaling?.has('rope_theta') ? scaling : config).positiveNumber('rope_theta', defaultTheta)
  const invFreq = inverseFrequencies(theta, headDim)
  if (!scaling) return { invFreq, scale: 1 }
  const type = scaling.oneOf(scaling.has('rope_type') ? 'rope_type' : 'type', ['default', 'llama3'])
  return { invFreq: type === 'llama3' ? scaleLlama3(invFreq, readLlama3(scaling)) : invFreq, scale: 1 }
}

function readLlama3(scaling: Config): Llama3Scaling {
  const lowFreqFactor = scaling.positiveNumber('low_freq_factor')
  const highFreqFactor = scaling.positiveNumber('high_freq_factor')
  if (highFreqFactor <= lowFreqFactor)
    throw scaling.mustBe('high_freq_factor', `above low_freq_factor ${lowFreqFactor}`)
  return {
    factor: scaling.positiveNumber('factor'),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositions: scaling.positiveInteger('original_max_position_embeddings'),
  }
}
