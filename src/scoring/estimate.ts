/** One text becomes head scores by DuoAttention's on-the-fly estimate. */

import type { Sample } from '../data/sample.js'
import { scoredAttention } from '../engine/spec.js'
import { version } from '../engine/version.js'
import { InputError } from '../errors.js'
import type { Model } from '../inference/model.js'
import { longRopes } from '../model/describe.js'
import { defaultChunkSize } from '../model/reconstruction.js'
import { remedies } from '../model/too-long.js'
import { duoEstimate, estimateLength } from './duo-estimate.js'
import type { ScoredHeads, ScoreOptions } from './score.js'

/** @throws InputError for options of the reconstruction, and for a text that is longer than the model's positions */
export async function estimateHeads(
  model: Model,
  sample: Pick<Sample, 'data' | 'index'>,
  textIds: Int32Array,
  options: ScoreOptions,
): Promise<ScoredHeads> {
  refuseReconstruction(options)
  const { description, identity, scoredLayerIds: layerIds } = model
  const { reach: positions } = description
  const tooLong = { positions, prefix: 0, context: textIds.length, chunks: [], spare: 0 }
  if (textIds.length > positions)
    throw new InputError(
      `${sample.data} ${sample.index} has ${textIds.length} tokens, but ${description.id} has ${positions} ` +
        `positions${remedies(description, { ...tooLong, cut: 'scores the first tokens only' })}`,
    )
  const means = await model.means(textIds, options)
  const { spec } = description
  const { heads, kvHeads, headDim } = scoredAttention(spec)
  const ropes = longRopes(description, estimateLength) ?? spec.ropes
  const max = new Float32Array(layerIds.length * kvHeads)
  for (const [row, layer] of layerIds.entries()) {
    const slice = (of: Float32Array, width: number): Float32Array =>
      of.subarray(row * width, (row + 1) * width)
    const layerMeans = {
      queries: slice(means.queries, heads * headDim),
      keys: slice(means.keys, kvHeads * headDim),
      rope: ropes[spec.layers[layer]!.attention.rope]!,
    }
    max.set(duoEstimate(layerMeans, { heads, kvHeads, headDim }), row * kvHeads)
  }
  const { data, index } = sample
  return {
    layers: layerIds.length,
    kvHeads,
    layerIds,
    max,
    mean: null,
    p99: null,
    positions: textIds.length,
    pairs: null,
    provenance: {
      model: identity.id,
      modelHash: identity.hash,
      sources: [{ data, index, tokens: textIds.length }],
      method: 'duo-estimate',
      sweep: '',
      chunkSize: 0,
      arithmetic: model.arithmetic,
      engineVersion: version,
      created: new Date().toISOString(),
      ...(means.rope !== '' && { rope: means.rope }),
      modelLayers: spec.layers.length,
    },
    peakBytes: means.peakBytes,
    seconds: means.seconds,
  }
}

/** Nothing is repeated, so nothing of how repetition is cut, narrowed or kept applies. */
function refuseReconstruction(options: ScoreOptions): void {
  const { sweep = 'full', chunkSize = defaultChunkSize, chunks, pairs = false, untilStable } = options
  const given = [
    sweep !== 'full' && `the sweep ${sweep}`,
    chunkSize !== defaultChunkSize && 'a chunk size',
    chunks && 'a part of the chunks',
    pairs && 'scores of pairs',
    untilStable && 'stopping when stable',
  ].find((each) => each)
  if (given) throw new InputError(`the method duo-estimate reads a text once: it has no use for ${given}`)
}
