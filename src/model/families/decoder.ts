/** What decoder-only models share with Llama; families differ from it by a few lines. */

import type { LayerSpec } from '../../engine/spec.js'
import type { Config } from '../config.js'
import { type LongContext, type RopeDefaults, type RopePlan, reachOf, readRope } from '../rope.js'
import type { ModelPlan } from './family.js'

/** Values that transformers takes for fields a config leaves out. */
export interface DecoderDefaults extends RopeDefaults {
  normEps: number
  /** Left out: hidden_size / num_attention_heads. */
  headDim?: number
  kvHeads?: number
}

/** A plan as Llama's: every layer attends to everything and has one gated MLP. */
export function decoderPlan(config: Config, defaults: DecoderDefaults): ModelPlan {
  const layers = config.positiveInteger('num_hidden_layers')
  const hiddenSize = config.positiveInteger('hidden_size')
  const heads = config.positiveInteger('num_attention_heads')
  const kvHeads = config.positiveInteger('num_key_value_heads', defaults.kvHeads ?? heads)
  if (heads % kvHeads !== 0)
    throw config.mustBe('num_key_value_heads', `a divisor of num_attention_heads ${heads}`)
  const headDim = readHeadDim(config, hiddenSize, heads, defaults.headDim)
  const { rope, maxPositions, long } = readRope(config, headDim, defaults)
  const scale = 1 / Math.sqrt(headDim)
  const layer: LayerSpec = {
    attention: { heads, kvHeads, headDim, window: 0, rope: 0, scale, headNorms: false },
    mlp: { intermediateSize: config.positiveInteger('intermediate_size') },
    scored: true,
  }
  return {
    spec: {
      hiddenSize,
      vocabSize: config.positiveInteger('vocab_size'),
      maxPositions,
      normEps: config.positiveNumber('rms_norm_eps', defaults.normEps),
      normOffset: 0,
      embedScale: 1,
      logitCap: 0,
      activation: 'silu',
      outNorms: false,
      ropes: [rope],
      layers: Array.from({ length: layers }, () => layer),
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
  if (headDim % 2 !== 0) throw config.mustBe('head_dim', 'even, as RoPE rotates pairs')
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

/** The plan with each layer's attention changed. */
export function withAttention(
  plan: ModelPlan,
  change: (layer: LayerSpec['attention'], at: number) => Partial<LayerSpec['attention']>,
): ModelPlan {
  const layers = plan.spec.layers.map((layer, at) => ({
    ...layer,
    attention: { ...layer.attention, ...change(layer.attention, at) },
  }))
  return { ...plan, spec: { ...plan.spec, layers } }
}

/** Norms over single heads' queries and keys. */
export function withHeadNorms(plan: ModelPlan): ModelPlan {
  return withAttention(plan, () => ({ headNorms: true }))
}

/**
 * Sets each layer's window. Hybrid models score their global layers; a model whose layers all slide has no others.
 * @param windowOf a layer's window, 0: none
 */
export function withWindows(plan: ModelPlan, windowOf: (layer: number) => number): ModelPlan {
  const windowed = withAttention(plan, (_, at) => ({ window: windowOf(at) }))
  const hybrid = windowed.spec.layers.some(({ attention }) => attention.window === 0)
  const layers = windowed.spec.layers.map((layer) => ({
    ...layer,
    scored: layer.attention.window === 0 || !hybrid,
  }))
  return { ...windowed, spec: { ...windowed.spec, layers } }
}

/** Sets one window in all layers. One that no context outgrows is none. */
export function slide(plan: ModelPlan, window: number): ModelPlan {
  const reach = reachOf(plan.spec.maxPositions, plan.longContext)
  return withWindows(plan, () => (window < reach ? window : 0))
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
