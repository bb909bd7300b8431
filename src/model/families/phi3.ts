import type { EngineSpec, LayerSpec } from '../../engine/spec.js'
import { checkSilu, decoderPlan, slide, uniformWindow } from './decoder.js'
import type { Family } from './family.js'
import { attentionWeights, type LayerWeight, mlpWeights, modelWeights, normWeights } from './tensors.js'

/** Weights that lie below one another in one tensor: each role becomes its rows of it. */
function fuse(name: string, weights: LayerWeight[]): LayerWeight[] {
  const rows = weights.reduce((sum, { shape }) => sum + shape[0]!, 0)
  let first = 0
  return weights.map(({ role, shape: [out, into] }) => {
    const part: [number, number] = [first, out!]
    first += out!
    return { role, name, shape: [rows, into!], rows: part }
  })
}

function fusedLayer(spec: EngineSpec, layer: LayerSpec): LayerWeight[] {
  const [q, k, v, o] = attentionWeights(spec, layer)
  const [gate, up, down] = mlpWeights(spec, layer.mlp.intermediateSize)
  return [
    ...normWeights(spec),
    ...fuse('self_attn.qkv_proj.weight', [q!, k!, v!]),
    o!,
    ...fuse('mlp.gate_up_proj.weight', [gate!, up!]),
    down!,
  ]
}

/** Defaults: transformers' Phi3Config. */
export const phi3: Family = {
  name: 'Phi-3',
  models: 'Phi-3, Phi-3.5 mini, Phi-4, Phi-4-mini',
  traits: 'fused projections; longrope; one sliding window in all layers, where the config has one',
  architectures: ['Phi3ForCausalLM'],
  chat: undefined,
  plan(config) {
    checkSilu(config)
    const plan = decoderPlan(config.with(oldNames), { maxPositions: 4096, normEps: 1e-5, ropeTheta: 10000 })
    return slide(plan, uniformWindow(config, 0))
  },
  weights: (config, spec) =>
    modelWeights(spec, (layer) => fusedLayer(spec, layer), {
      tied: config.flag('tie_word_embeddings', false),
    }),
}

/** The first releases called longrope `su` or `yarn`; and its original length is 4096 where they do not say. */
function oldNames(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const scaling = fields.rope_scaling
  if (typeof scaling !== 'object' || scaling === null) return fields
  const { type, ...rest } = scaling as Record<string, unknown>
  const longrope = type === 'su' || type === 'yarn' ? { rope_scaling: { ...rest, type: 'longrope' } } : {}
  return {
    ...fields,
    original_max_position_embeddings: fields.original_max_position_embeddings ?? 4096,
    ...longrope,
  }
}
