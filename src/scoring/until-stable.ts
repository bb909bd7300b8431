/** Scoring that stops when more chunks no longer change which heads are kept. */

import { checkFields, checkOptions, jobFields } from '../check.js'
import type { Progress } from '../engine/job.js'
import { scoredLayers } from '../engine/spec.js'
import { InputError, invalidParameter } from '../errors.js'
import {
  checkModel,
  checkScorePairs,
  type Model,
  type ScoredPairs,
  type ScorePairsParams,
} from '../inference/model.js'
import { checkChunks } from '../model/reconstruction.js'
import { spearman } from '../scores/compare.js'
import { selectHeads } from '../scores/select.js'
import { mergeParts, type Part, spreadOrder } from '../scores/stability.js'

export interface UntilStable {
  /** least Spearman of the ranking with that before the last chunks, (0, 1] */
  spearman: number
  /** share of heads whose set must not change any more; default 0.6 */
  ratio?: number | undefined
  /** chunks in a row that must change nothing; default a third of all, at least 4 */
  patience?: number | undefined
}

export interface StoppedScores extends ScoredPairs {
  /** context positions of the chunks that were scored */
  positions: number
  /** chunks scored, of all */
  scored: number
  chunks: number
  /** share of the reconstruction's tokens that was not run; the context was read in full */
  saved: number
}

/**
 * The context is read once into a full cache, then chunk after chunk is scored against it, spread over the context.
 * Positions of chunks that were not scored count as never scored: they are in neither mean nor percentile.
 * @throws RangeError for a bound outside (0, 1]; InputError where the sweep cannot work from a cache
 */
export async function scoreUntilStable(
  model: Model,
  params: ScorePairsParams,
  stable: UntilStable,
): Promise<StoppedScores> {
  checkModel(model)
  checkScorePairs(params)
  checkChunks(params.chunks, 'chunks')
  checkOptions(params, jobFields)
  if (params.chunks.length === 0)
    throw invalidParameter('chunks', 'a list of reconstruction inputs', params.chunks)
  checkFields(stable, 'untilStable', { spearman: 'number', ratio: 'ratio?', patience: 'number?' })
  const { spearman: bound, ratio = 0.6 } = stable
  // A quarter, three at least, kept the heads of the full run on 12 of 16 samples of two models; this on 15.
  const patience = stable.patience ?? Math.max(4, Math.ceil(params.chunks.length / 3))
  if (!(bound > 0 && bound <= 1)) throw invalidParameter('untilStable', 'a number in (0, 1]', bound)
  if (!Number.isInteger(patience) || patience < 1)
    throw invalidParameter('patience', 'a positive integer', patience)
  const { sweep } = params
  if (sweep === 'block') throw invalidParameter('sweep', 'full or chunk to stop early', sweep)
  refuseUnfit(model, params)
  const started = performance.now()
  const { signal, onProgress } = params
  const total = params.contextIds.length + params.chunks.reduce((sum, chunk) => sum + chunk.ids.length, 0)
  let before = 0
  const tell =
    (tokens: number) =>
    ({ done }: Progress): void =>
      onProgress?.({ done: Math.min((before + done * tokens) / total, 0.999) })

  const kv = await model.prefillIds(params.prefixIds, params.contextIds, {
    signal,
    onProgress: tell(params.contextIds.length),
  })
  try {
    before = params.contextIds.length
    const parts: { part: Part; pairs: Float32Array; start: number; end: number }[] = []
    let calm = 0
    let last: Part | null = null
    let peakBytes = 0
    for (const index of spreadOrder(params.chunks.length)) {
      const chunk = params.chunks[index]!
      const watching = { signal, onProgress: tell(chunk.ids.length) }
      const result = await model.scoreChunks(kv, { ...params, sweep }, [chunk], watching)
      before += chunk.ids.length
      peakBytes = Math.max(peakBytes, result.peakBytes)
      parts.push({ ...chunk, pairs: result.pairs, part: partOf(result.pairs, chunk.end - chunk.start) })
      const now = mergeParts(parts.map(({ part }) => part))
      calm = last && unchanged(last, now, bound, ratio) ? calm + 1 : 0
      last = now
      if (calm >= patience) break
    }
    const run = parts.reduce((sum, { start }) => sum + idsAt(params, start), 0)
    const all = params.chunks.reduce((sum, { ids }) => sum + ids.length, 0)
    onProgress?.({ done: 1 })
    return {
      layerIds: scoredLayers(model.description.spec),
      max: last!.max,
      mean: last!.mean!,
      p99: percentiles(
        parts.map(({ pairs }) => pairs),
        last!.max.length,
      ),
      pairs: null,
      rope: '',
      peakBytes,
      kernels: [],
      seconds: (performance.now() - started) / 1000,
      positions: last!.positions,
      scored: parts.length,
      chunks: params.chunks.length,
      saved: 1 - run / all,
    }
  } finally {
    kv.close()
  }
}

/** A cache serves chunk after chunk only where it holds every entry, under the angles that the chunks need. */
function refuseUnfit({ description }: Model, { prefixIds, contextIds, chunks }: ScorePairsParams): void {
  const { spec, longContext, id } = description
  if (scoredLayers(spec).length < spec.layers.length)
    throw new InputError(`${id} has layers that keep a window only; they cannot be scored chunk after chunk`)
  const reach = prefixIds.length + contextIds.length + Math.max(...chunks.map(({ ids }) => ids.length))
  if (longContext && reach > longContext.above)
    throw new InputError(
      `${id} changes its rotary angles past ${longContext.above} positions, and ${reach} are needed; score without stopping early`,
    )
}

function idsAt(params: ScorePairsParams, start: number): number {
  return params.chunks.find((chunk) => chunk.start === start)!.ids.length
}

function unchanged(before: Part, now: Part, bound: number, ratio: number): boolean {
  const [a, b] = [selectHeads(before, { ratio }).keep, selectHeads(now, { ratio }).keep]
  return a.every((flag, cell) => flag === b[cell]) && spearman(before.max, now.max) >= bound
}

/** @param pairs (heads, positions) */
function partOf(pairs: Float32Array, positions: number): Part {
  const heads = pairs.length / positions
  const max = new Float32Array(heads)
  const mean = new Float32Array(heads)
  for (let cell = 0; cell < heads; cell++) {
    const scores = pairs.subarray(cell * positions, (cell + 1) * positions)
    max[cell] = scores.reduce((most, score) => Math.max(most, score), 0)
    mean[cell] = scores.reduce((sum, score) => sum + score, 0) / positions
  }
  return { max, mean, positions }
}

/** Nearest rank, as the engine takes it. */
function percentiles(pairs: Float32Array[], heads: number): Float32Array {
  const positions = pairs.reduce((sum, each) => sum + each.length, 0) / heads
  const rank = Math.ceil(0.99 * positions) - 1
  return Float32Array.from({ length: heads }, (_, cell) => {
    const scores = new Float32Array(positions)
    let at = 0
    for (const each of pairs) {
      const width = each.length / heads
      scores.set(each.subarray(cell * width, (cell + 1) * width), at)
      at += width
    }
    return scores.sort()[rank]!
  })
}
