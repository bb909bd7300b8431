/** A loaded model: reads contexts, answers queries, scores its heads. */

import type { NativeEngine } from '../engine/binding.js'
import { type JobOptions, watch } from '../engine/job.js'
import { type EngineOptions, openEngine } from '../engine/open.js'
import { checkRatio, InputError, invalidParameter } from '../errors.js'
import { describeModel, type ModelDescription } from '../model/describe.js'
import { type Prompts, promptsFor } from '../model/prompts.js'
import { Tokenizer } from '../model/tokenizer.js'
import { readScores } from '../scores/arrow.js'
import type { HeadScores, Sweep } from '../scores/head-scores.js'
import { type SelectionRule, selectHeads } from '../scores/select.js'
import type { ReconstructionInput } from '../scoring/reconstruction.js'
import {
  type GeneratedIds,
  type GenerateIdsOptions,
  type GenerateOptions,
  type Generation,
  generateIds,
  generateText,
} from './generate.js'
import { KvCache, type ModelIdentity } from './kv-cache.js'
import { checkScoresFit } from './scores-fit.js'

export interface PrefillOptions extends JobOptions {
  /** Head scores, or a file of them. Alone they wait for `kv.prune`; with a ratio they evict during prefill. */
  scores?: HeadScores | string | undefined
  /** Evict while prefilling: the peak is the retained KV and one layer. */
  ratio?: number | undefined
  rule?: SelectionRule | undefined
}

export interface ScorePairsJob extends JobOptions {
  sinkIds: Int32Array
  contextIds: Int32Array
  chunks: ReconstructionInput[]
  sweep: Sweep
  /** Also return every pair's score. */
  pairs?: boolean | undefined
}

export interface ScoredPairs {
  /** (layers) index of each row's layer in the model */
  layerIds: Int32Array
  /** (layers, kv_heads) over context positions */
  max: Float32Array
  mean: Float32Array
  p99: Float32Array
  /** (layers, kv_heads, context), or null unless asked for */
  pairs: Float32Array | null
  /** Most memory the engine itself held; weights are mapped and not counted. */
  peakBytes: number
  seconds: number
}

export class Model {
  private readonly engine: NativeEngine
  readonly device: 'cpu' | 'cuda'
  readonly arithmetic: string
  private loadedTokenizer: Tokenizer | undefined
  private loadedPrompts: Prompts | undefined

  /** @internal use loadModel */
  constructor(
    readonly description: ModelDescription,
    options: EngineOptions,
  ) {
    const opened = openEngine(description.spec, description.weights, options)
    this.engine = opened.engine
    this.device = opened.device
    this.arithmetic = opened.arithmetic
  }

  get identity(): ModelIdentity {
    const { id, hash, spec } = this.description
    return { id, hash, layers: spec.layers, kvHeads: spec.kvHeads }
  }

  get tokenizer(): Tokenizer {
    this.loadedTokenizer ??= Tokenizer.load(this.description.folder)
    return this.loadedTokenizer
  }

  get prompts(): Prompts {
    this.loadedPrompts ??= promptsFor(this.tokenizer, this.description.family.chat)
    return this.loadedPrompts
  }

  /** Token ids of a context, as it stands between system prefix and query. @throws InputError when there are none */
  contextIds(context: string): Int32Array {
    const ids = Int32Array.from(this.tokenizer.encode(context))
    if (ids.length === 0) throw new InputError('the context is empty')
    return ids
  }

  /** Reads a context once; the cache then answers any number of queries. */
  prefill(context: string, options: PrefillOptions = {}): Promise<KvCache> {
    return this.prefillIds(this.prompts.sinkIds, this.contextIds(context), options)
  }

  async prefillIds(
    sinkIds: Int32Array,
    contextIds: Int32Array,
    options: PrefillOptions = {},
  ): Promise<KvCache> {
    const { ratio, rule } = options
    const scores = typeof options.scores === 'string' ? await readScores(options.scores) : options.scores
    if (scores) checkScoresFit(scores, this.identity)
    if (ratio !== undefined) checkRatio(ratio)
    if (ratio !== undefined && !scores) throw new InputError('evicting while prefilling needs head scores')
    const keep =
      ratio === undefined || !scores ? null : selectHeads(scores, { ratio, ...(rule && { rule }) }).keep
    const { cache } = await watch(
      () =>
        this.engine.sweep({
          sink: sinkIds,
          context: contextIds,
          chunks: [],
          sweep: 'full',
          pairs: false,
          cache: true,
          keepHeads: keep,
        }),
      options,
    )
    if (!cache) throw new Error('the engine returned no cache')
    const { layers, kvHeads, headDim } = this.description.spec
    const heads = layers * kvHeads
    const fullBytes =
      heads * headDim * 2 * Float32Array.BYTES_PER_ELEMENT * (sinkIds.length + contextIds.length)
    const kept = keep ? keep.reduce((sum, bit) => sum + bit, 0) : heads
    return new KvCache(cache, this.identity, scores, fullBytes, kept)
  }

  /** Answers one query from a cache, which is afterwards as it was. */
  generate(query: string, options: GenerateOptions): Promise<Generation> {
    return generateText(this, query, options)
  }

  generateIds(queryIds: Int32Array, options: GenerateIdsOptions): Promise<GeneratedIds> {
    return generateIds(this.engine, this.description, queryIds, options)
  }

  /** Scores every (layer, KV head) of a context in one sweep: see design of KVzip, arXiv 2505.23416. */
  async scorePairs(job: ScorePairsJob): Promise<ScoredPairs> {
    if (job.chunks.length === 0)
      throw invalidParameter('chunks', 'a list of reconstruction inputs', job.chunks)
    const started = performance.now()
    const result = await watch(
      () =>
        this.engine.sweep({
          sink: job.sinkIds,
          context: job.contextIds,
          chunks: job.chunks,
          sweep: job.sweep,
          pairs: job.pairs ?? false,
          cache: false,
          keepHeads: null,
        }),
      job,
    )
    const { max, mean, p99, pairs, peakBytes } = result
    const layerIds = Int32Array.from({ length: this.description.spec.layers }, (_, layer) => layer)
    return { layerIds, max, mean, p99, pairs, peakBytes, seconds: (performance.now() - started) / 1000 }
  }

  /** Gives the weights' mapping and work memory back once running jobs and open caches have ended. */
  close(): void {
    this.engine.close()
  }
}

/**
 * Opens a Hugging Face folder, or an embedded model by name.
 * @throws InputError with one sentence on what is missing or wrong, and where
 */
export async function loadModel(pathOrName: string, options: EngineOptions = {}): Promise<Model> {
  return new Model(describeModel(pathOrName), options)
}
