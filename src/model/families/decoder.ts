/** What decoder-only models in the manner of Llama share; families differ from it by a few lines. */

import type { LayerKind } from '../../engine/spec.js'
import type { Config } from '../config.js'
import { type LongContext, type RopeDefaults, type RopePlan, readRope } from '../rope.js'
import type { ModelPlan } from './family.js'

/** Values that transformers takes for fields a config leaves out. */
export interface DecoderDefaults extends RopeDefaults {
  normEps: number
  /** Left out: hidden_size / num_attention_heads. */
  headDim?: number
  kvHeads?: number
}

/** A plan in the manner of Llama: every layer attends to everything and has one feed-forward part. */
export function decoderPlan(config: Config, defaults: DecoderDefaults): ModelPlan {
  const layers = config.positiveInteger('num_hidden_layers')
  const hiddenSize = config.positiveInteger('hidden_size')
  const heads = config.positiveInteger('num_attention_heads')
  const kvHeads = config.positiveInteger('num_key_value_heads', defaults.kvHeads ?? heads)
  if (heads % kvHeads !== 0)
    throw config.mustBe('num_key_value_heads', `a divisor of num_attention_heads ${heads}`)
  const headDim = readHeadDim(config, hiddenSize, heads, defaults.headDim)
  const { rope, maxPositions, long } = readRope(config, headDim, defaults)
  return {
    spec: {
      layers,
      hiddenSize,
      heads,
      kvHeads,
      headDim,
      intermediateSize: config.positiveInteger('intermediate_size'),
      vocabSize: config.positiveInteger('vocab_size'),
      maxPositions,
      normEps: config.positiveNumber('rms_norm_eps', defaults.normEps),
      normOffset: 0,
      attentionScale: 1 / Math.sqrt(headDim),
      embedScale: 1,
      logitCap: 0,
      activation: 'silu',
      headNorms: false,
      outNorms: false,
      ropes: [rope],
      layerKinds: layerKinds(layers, () => 0),
      mixture: null,
    },
    longContext: long && alone(long),
  }
}

function readHeadDim(config: Config, hiddenSize: number, heads: number, fallback?: number): number {
  if (!config.has('head_dim') && fallback === undefined && hiddenSize % heads !== 0) {
    throw config.mustBe(
      'hidden_size',
      `a multiple of num_attention_heads ${heads} where head_dim is not given`,
    )
  }
  const headDim = config.positiveInteger('head_dim', fallback ?? Math.floor(hiddenSize / heads))
  if (headDim % 2 !== 0) throw config.mustBe('head_dim', 'even, as rope turns pairs')
  return headDim
}

/** Of a model with one rope. */
function alone({ rope, ...long }: NonNullable<RopePlan['long']>): LongContext {
  return { ...long, ropes: (positions) => [rope(positions)] }
}

/** The only activation of most families. */
export function checkSilu(config: Config): void {
  config.oneOf('hidden_act', ['silu'])
}

/**
 * @param windowOf a layer's window, 0: none
 * @returns hybrid models score their global layers; a model whose layers all slide has no others
 */
export function layerKinds(layers: number, windowOf: (layer: number) => number): LayerKind[] {
  const windows = Array.from({ length: layers }, (_, layer) => windowOf(layer))
  const hybrid = windows.some((window) => window === 0)
  return windows.map((window) => ({
    window,
    rope: 0,
    scored: window === 0 || !hybrid,
    mixture: false,
  }))
}

/** Sets one window in all layers. One that no context outgrows is none. */
export function slide(plan: ModelPlan, window: number): ModelPlan {
  const { spec, longContext } = plan
  const reach = longContext?.maxPositions ?? spec.maxPositions
  return {
    ...plan,
    spec: { ...spec, layerKinds: layerKinds(spec.layers, () => (window < reach ? window : 0)) },
  }
}

/** `sliding_window` of families that apply it to all layers. @param absent its value where the config does not name it */
export function uniformWindow(config: Config, absent: number): number {
  if (!config.mentions('sliding_window')) return absent
  return config.has('sliding_window') ? config.positiveInteger('sliding_window') : 0
}

/** Which layers slide, as newer configs spell it out. */
export function slidingLayers(config: Config, layers: number): boolean[] | undefined {
  return config
    .listOf('layer_types', ['full_attention', 'sliding_attention'], layers)
    ?.map((type) => type === 'sliding_attention')
}
