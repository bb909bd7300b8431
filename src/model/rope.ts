/** Which rotary angles a config asks for: at its ordinary length, and for contexts longer than that. */

import type { Rope } from '../engine/spec.js'
import type { Config } from './config.js'
import {
  dynamicFrequencies,
  inverseFrequencies,
  type Llama3Scaling,
  longRopeFrequencies,
  scaleLinear,
  scaleLlama3,
  type YarnScaling,
  yarnRope,
  yarnScale,
} from './rope-scaling.js'

/** Contexts that need more than `above` positions rotate by other angles. */
export interface LongContext {
  above: number
  /** Most positions that `ropes` reach. */
  maxPositions: number
  /** `yarn 4 over 32768`: recorded with the scores. */
  note: string
  /** In place of the spec's ropes. @param positions that the context needs, its repetition included */
  ropes(positions: number): Rope[]
}

/** Positions that a model can read in all. @param own those that its own ropes are made for */
export function reachOf(own: number, longContext: Pick<LongContext, 'maxPositions'> | undefined): number {
  return Math.max(own, longContext?.maxPositions ?? 0)
}

export interface RopePlan {
  rope: Rope
  /** Positions that `rope` is made for. */
  maxPositions: number
  /** As in LongContext, of this rope alone. */
  long?: (Omit<LongContext, 'ropes'> & { rope(positions: number): Rope }) | undefined
}

export interface RopeDefaults {
  /** What the architecture uses when the config says nothing. */
  ropeTheta: number
  maxPositions: number
}

/** Kinds of rope, by the names that config.json gives them. */
export const ropeTypes = ['default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope'] as const

/**
 * `rope_theta` and `rope_scaling` (also spelt `type` for `rope_type`, and `rope_parameters` for both together, as
 * transformers 5 writes it).
 * @param fallback theta where the config says nothing
 */
export function ropeFields(
  config: Config,
  fallback: number,
): { scaling: Config | undefined; theta: number; type: (typeof ropeTypes)[number] } {
  const scaling = config.section('rope_parameters') ?? config.section('rope_scaling')
  return {
    scaling,
    theta: (scaling?.has('rope_theta') ? scaling : config).positiveNumber('rope_theta', fallback),
    type: scaling?.oneOf(scaling.has('rope_type') ? 'rope_type' : 'type', ropeTypes) ?? 'default',
  }
}

/**
 * The rope that a config asks for.
 * @throws InputError for an unknown type, or numbers that are missing or make no sense
 */
export function readRope(config: Config, headDim: number, defaults: RopeDefaults): RopePlan {
  const { scaling, theta, type } = ropeFields(config, defaults.ropeTheta)
  const partial = (scaling?.has('partial_rotary_factor') ? scaling : config).positiveNumber(
    'partial_rotary_factor',
    1,
  )
  const dim = Math.trunc(headDim * partial)
  if (partial > 1 || dim < 2 || dim % 2 !== 0)
    throw config.mustBe('partial_rotary_factor', `a share of head_dim ${headDim} that is an even number`)
  const maxPositions = config.positiveInteger('max_position_embeddings', defaults.maxPositions)
  const plain = inverseFrequencies(theta, dim)
  if (!scaling || type === 'default') return { rope: { invFreq: plain, scale: 1 }, maxPositions }
  if (type === 'linear')
    return { rope: { invFreq: scaleLinear(plain, scaling.positiveNumber('factor')), scale: 1 }, maxPositions }
  if (type === 'llama3')
    return { rope: { invFreq: scaleLlama3(plain, readLlama3(scaling)), scale: 1 }, maxPositions }
  if (type === 'dynamic') return dynamic(scaling.positiveNumber('factor'), theta, dim, maxPositions)
  if (type === 'longrope') return longRope(config, scaling, theta, dim, maxPositions)
  const yarn = readYarn(scaling, maxPositions)
  const reach = Math.max(maxPositions, Math.floor(yarn.factor * yarn.originalMaxPositions))
  return { rope: yarnRope(theta, dim, yarn), maxPositions: reach }
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

function readYarn(scaling: Config, maxPositions: number): YarnScaling {
  const factor = scaling.positiveNumber('factor')
  const [mscale, all] = [
    scaling.nonNegativeNumber('mscale', 0),
    scaling.nonNegativeNumber('mscale_all_dim', 0),
  ]
  const inferred =
    mscale > 0 && all > 0 ? yarnScale(factor, mscale) / yarnScale(factor, all) : yarnScale(factor)
  return {
    factor,
    originalMaxPositions: scaling.positiveInteger('original_max_position_embeddings', maxPositions),
    betaFast: scaling.positiveNumber('beta_fast', 32),
    betaSlow: scaling.positiveNumber('beta_slow', 1),
    truncate: scaling.flag('truncate', true),
    attentionFactor: scaling.positiveNumber('attention_factor', inferred),
  }
}

/** transformers lets theta follow the sequence; ours is that of the context, so that all its keys rotate alike. */
function dynamic(factor: number, theta: number, dim: number, maxPositions: number): RopePlan {
  return {
    rope: { invFreq: inverseFrequencies(theta, dim), scale: 1 },
    maxPositions,
    long: {
      above: maxPositions,
      maxPositions: Math.floor(factor * maxPositions),
      note: `dynamic ${factor} over ${maxPositions}`,
      rope: (positions) => ({
        invFreq: dynamicFrequencies(theta, dim, { factor, maxPositions, positions }),
        scale: 1,
      }),
    },
  }
}

function longRope(
  config: Config,
  scaling: Config,
  theta: number,
  dim: number,
  maxPositions: number,
): RopePlan {
  const stated = config.has('original_max_position_embeddings') ? config : scaling
  const original = stated.positiveInteger('original_max_position_embeddings', maxPositions)
  const factor =
    stated === config ? maxPositions / original : scaling.positiveNumber('factor', maxPositions / original)
  const inferred = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))
  const scale = scaling.positiveNumber('attention_factor', inferred)
  const [short, long] = ['short_factor', 'long_factor'].map((name) => ({
    invFreq: longRopeFrequencies(theta, dim, scaling.positiveNumbers(name, dim / 2)),
    scale,
  }))
  if (original >= maxPositions) return { rope: short!, maxPositions }
  const note = `longrope over ${original}`
  return {
    rope: short!,
    maxPositions: original,
    long: { above: original, maxPositions, note, rope: () => long! },
  }
}
