/** Decoding with a model of realistic shape on a GPU, beside the time that its bytes take to come. */

import type { Model } from '../inference/model.js'
import type { HeadScores } from '../scores/head-scores.js'
import { randomIds } from './random.js'
import { type ShapeBenchOptions, withShape } from './shape.js'
import type { ShapeName } from './shapes.js'

export interface DecodeOptions extends ShapeBenchOptions {
  /** Context tokens, one run each and ratio */
  tokens: number[]
  /** Shares of the KV heads that keep their context, chosen at random */
  ratios: number[]
  onRun?: ((run: DecodeRun) => void) | undefined
}

export interface DecodeRun {
  shape: ShapeName
  layers: number
  allLayers: number
  tokens: number
  ratio: number
  keptHeads: number
  heads: number
  /** Milliseconds a token, the median of `runs` answers of `steps` tokens each */
  ms: number
  steps: number
  runs: number
  /** Whether every answer was the same */
  repeatable: boolean
  /** Bytes a second that a large copy reads and writes, measured just before */
  copyRate: number
  weightBytes: number
  kvBytes: number
  /** Milliseconds that weights and KV take at that rate */
  weightMs: number
  kvMs: number
  /** ms / (weightMs + kvMs) */
  overFloor: number
  prefillSeconds: number
  /** Most that the engine held on the GPU while it read the context, weights included */
  peakBytes: number
  /** Held by the engine, and in use on the GPU by everybody, while it decodes */
  heldBytes: number
  deviceBytes: number
}

const steps = 64
const runs = 3
const prefixTokens = 30
const queryTokens = 20

/** @throws Error (code HEADZIP_ENGINE) where there is no usable GPU */
export async function benchDecoding(options: DecodeOptions): Promise<DecodeRun[]> {
  return withShape(options, async (model, sparse) => {
    const all: DecodeRun[] = []
    await decode(model, sparse.vocab, Math.min(2000, ...options.tokens), 1, options) // weights arrive, kernels load
    for (const tokens of options.tokens)
      for (const ratio of options.ratios) {
        const copyRate = await model.copyRate()
        const made = await decode(model, sparse.vocab, tokens, ratio, options)
        const weightMs = (sparse.decodedBytes / copyRate) * 1e3
        const kvMs = (made.kvBytes / copyRate) * 1e3
        const { shape } = options
        const { layers, allLayers, decodedBytes: weightBytes } = sparse
        const overFloor = made.ms / (weightMs + kvMs)
        const about = { shape, layers, allLayers, tokens, ratio, copyRate, weightBytes }
        all.push({ ...about, ...made, weightMs, kvMs, overFloor })
        options.onRun?.(all.at(-1)!)
      }
    return all
  })
}

async function decode(model: Model, vocab: number, tokens: number, ratio: number, options: DecodeOptions) {
  const draw = randomIds(vocab)
  const prefixIds = draw(prefixTokens)
  const started = performance.now()
  const evict = ratio < 1 && { ratio, scores: randomScores(model) }
  const { signal, onProgress } = options
  const kv = await model.prefillIds(prefixIds, draw(tokens), { signal, onProgress, ...evict })
  const prefillSeconds = (performance.now() - started) / 1000
  try {
    const query = draw(queryTokens)
    const { peakBytes, keptHeads } = kv
    const times: number[] = []
    const answers: string[] = []
    for (let run = 0; run < runs; ++run) {
      const asked = { kv, maxNewTokens: steps + 1, ignoreEos: true, signal }
      const { ids, tokensPerSecond } = await model.generateIds(query, asked)
      times.push(1e3 / tokensPerSecond)
      answers.push(ids.join(' '))
    }
    const { allocatedBytes: heldBytes, deviceBytes } = model.memory
    const ms = times.toSorted((a, b) => a - b)[Math.floor(runs / 2)]!
    const heads = kv.model.layers * kv.model.kvHeads
    const repeatable = answers.every((answer) => answer === answers[0])
    const measured = { ms, steps, runs, repeatable, keptHeads, heads, kvBytes: kv.bytes }
    return { ...measured, prefillSeconds, peakBytes, heldBytes, deviceBytes }
  } finally {
    kv.close()
  }
}

/** The same draw for every ratio: what a lower one keeps is among what a higher one keeps. */
function randomScores({ identity, scoredLayerIds }: Model): HeadScores {
  const { layers, kvHeads } = identity
  const draw = randomIds(1 << 20)
  return {
    layers,
    kvHeads,
    layerIds: scoredLayerIds,
    max: Float32Array.from(draw(layers * kvHeads), (n) => n / (1 << 20)),
    mean: null,
    p99: null,
    positions: 0,
    pairs: null,
    provenance: {
      model: 'random',
      modelHash: '',
      sources: [],
      method: 'random',
      sweep: '',
      chunkSize: 0,
      arithmetic: '',
      engineVersion: '',
      created: new Date(0).toISOString(),
    },
  }
}
