/** A loaded model: reads contexts, answers queries, scores its heads. */

import { check, checkOneOf, checkOptions, jobFields } from '../check.js'
import type { KernelTime, NativeEngine, NativeMeans, NativeMemory } from '../engine/binding.js'
import { type JobOptions, watch } from '../engine/job.js'
import { checkEngine, type EngineOptions, openEngine } from '../engine/open.js'
import { scoredAttention, scoredLayers } from '../engine/spec.js'
import { InputError, invalidParameter } from '../errors.js'
import { readGiven } from '../formats/detect.js'
import { type LocateOptions, locateModel } from '../hub/locate.js'
import { describeModel, type EngineDescription, type ModelDescription, ropesFor } from '../model/describe.js'
import { type Prompts, promptsFor } from '../model/prompts.js'
import { checkChunks, type ReconstructionInput, reconstructionInputs } from '../model/reconstruction.js'
import { checkLimits, type TokenizerLimits } from '../model/tokenizer/limits.js'
import type { Tokenizer } from '../model/tokenizer.js'
import type { PairMethod, Sweep } from '../scores/head-scores.js'
import { cutMiddle } from './cut-middle.js'
import {
  type BatchOptions,
  type BatchQuery,
  type GeneratedIds,
  type GenerateIdsOptions,
  type GenerateOptions,
  type Generation,
  generateBatch,
  generateIds,
  generateText,
} from './generate.js'
import { checkCache, type KvCache, type ModelIdentity } from './kv-cache.js'
import { checkPrefill, type PrefillOptions, prefillCache } from './prefill.js'
import { restoreCache } from './restore-cache.js'
import { type StreamOptions, streamText } from './stream.js'

export interface AnswerLogProbs {
  /** Tokens of the answer */
  ids: Int32Array
  /** (ids) */
  logProbs: Float32Array
}

export interface ScorePairsParams extends JobOptions {
  prefixIds: Int32Array
  contextIds: Int32Array
  chunks: ReconstructionInput[]
  sweep: Sweep
  /** Default `kvzip`. */
  method?: PairMethod | undefined
  /** Sweep `block`: context tokens before and after `contextIds`, a run of its chunks. */
  before?: number | undefined
  after?: number | undefined
  /** Also return every pair's score. */
  pairs?: boolean | undefined
}

/** What chunks are scored against; blocks see no cache of a whole context. */
export interface ScoreChunksParams extends Pick<ScorePairsParams, 'prefixIds' | 'contextIds' | 'method'> {
  sweep: Exclude<Sweep, 'block'>
}

export interface ScoredPairs {
  /** (scored layers) index of each row's layer in the model */
  layerIds: Int32Array
  /** (scored layers, kv_heads) over context positions */
  max: Float32Array
  mean: Float32Array
  p99: Float32Array
  /** (scored layers, kv_heads, context), or null unless asked for */
  pairs: Float32Array | null
  /** How rotary angles were changed for the context's length; empty when they were not. */
  rope: string
  /** Most memory the engine itself held; weights are mapped and not counted. */
  peakBytes: number
  /** Where the GPU's time went; empty unless the model was loaded with `kernelTimes`. */
  kernels: KernelTime[]
  seconds: number
}

/** Of the scored layers, before the rope. */
export interface Means extends NativeMeans {
  /** How rotary angles were changed for the text's length; empty when they were not. */
  rope: string
  seconds: number
}

export class Model {
  readonly description: ModelDescription
  private readonly engine: NativeEngine
  readonly device: 'cpu' | 'cuda'
  readonly arithmetic: string
  private readonly elementBytes: number
  /** Nothing is read before it is asked something. */
  readonly tokenizer: Tokenizer
  private loadedPrompts: Promise<Prompts> | undefined

  /** @internal use loadModel */
  constructor(
    private readonly opened: EngineDescription,
    options: ModelOptions,
  ) {
    this.description = opened
    this.tokenizer = opened.openTokenizer(options.tokenizer)
    const { engine, device, arithmetic, elementBytes } = openEngine(opened.spec, opened.weights, options)
    this.engine = engine
    this.device = device
    this.arithmetic = arithmetic
    this.elementBytes = elementBytes
  }

  get identity(): ModelIdentity {
    const { id, hash, spec } = this.description
    const { kvHeads, headDim } = scoredAttention(spec)
    const { arithmetic, elementBytes } = this
    return { id, hash, layers: scoredLayers(spec).length, kvHeads, headDim, arithmetic, elementBytes }
  }

  /** The model's fixed texts as ids. @throws InputError when it has no tokenizer or no chat format that can be used */
  get prompts(): Promise<Prompts> {
    this.loadedPrompts ??= promptsFor(this.tokenizer, this.description.family.chat).catch(
      (error: unknown) => {
        this.loadedPrompts = undefined
        throw error
      },
    )
    return this.loadedPrompts
  }

  /**
   * Positions in all of a cache whose context is read with so many: `description.reach`, or fewer where the model reads
   * short contexts with ropes that end earlier.
   * @param positions that the context needs, its repetition included, as `kv.ropePositions`
   */
  positionsFor(positions: number): number {
    check(positions, 'positions', 'count')
    return ropesFor(this.opened, positions).maxPositions
  }

  /** Token ids of a context, as it stands between system prefix and query. @throws InputError when there are none */
  async contextIds(context: string, signal?: AbortSignal): Promise<Int32Array> {
    check(context, 'context', 'string')
    const ids = await this.tokenizer.encode(context, { signal })
    if (ids.length === 0) throw new InputError('the context is empty')
    return ids
  }

  /** Token ids of a text by itself, with what the tokenizer puts around one. @throws InputError when there are none */
  async textIds(text: string, signal?: AbortSignal): Promise<Int32Array> {
    check(text, 'text', 'string')
    const ids = await this.tokenizer.encode(text, { special: true, signal })
    if (ids.length === 0) throw new InputError('the context is empty')
    return ids
  }

  /** Reads a context once; the cache then answers any number of queries. */
  async prefill(context: string, options: PrefillOptions = {}): Promise<KvCache> {
    check(context, 'context', 'string')
    checkPrefill(options)
    const { prefixIds } = await this.prompts
    const ids = cutMiddle(await this.contextIds(context, options.signal), options.maxContext)
    return this.prefillIds(prefixIds, ids, options)
  }

  /** @param options.chunks the repetition that pair levels score with; made from the model's prompts when left out */
  async prefillIds(
    prefixIds: Int32Array,
    contextIds: Int32Array,
    options: PrefillOptions & { chunks?: ReconstructionInput[] | undefined } = {},
  ): Promise<KvCache> {
    check(prefixIds, 'prefixIds', 'ids')
    check(contextIds, 'contextIds', 'ids')
    checkPrefill(options)
    const scores = await readGiven(options.scores)
    const { chunkSize } = options
    const chunks = async (): Promise<ReconstructionInput[]> =>
      options.chunks ??
      reconstructionInputs(contextIds, {
        prompts: await this.prompts,
        ...(chunkSize !== undefined && { chunkSize }),
      })
    return prefillCache(
      {
        engine: this.engine,
        description: this.opened,
        identity: this.identity,
        prefixIds,
        contextIds,
        scores,
        chunks,
      },
      options,
    )
  }

  /**
   * Answers one query from a cache. Without `updateCache` the cache is only read: the same query gives the same answer
   * bit for bit, asked in any order and by any number of callers at once.
   * @param query its text, or ids as `prompts.queryIds` makes them
   * @throws RangeError for an option out of range, Error (HEADZIP_ENGINE) past the model's positions, an Error with
   * code HEADZIP_ABORTED when aborted; the cache is then as before
   */
  generate(query: string | Int32Array, options: GenerateOptions): Promise<Generation> {
    return generateText(this.engine, this, query, options)
  }

  generateIds(queryIds: Int32Array, options: GenerateIdsOptions): Promise<GeneratedIds> {
    return generateIds(this.engine, this.description, queryIds, options)
  }

  /** The answer as it comes; leaving the loop early aborts the job. */
  stream(query: string, options: StreamOptions): AsyncGenerator<string, Generation, void> {
    return streamText(this, query, options)
  }

  /**
   * Answers several queries from one cache, whose context they share: every step is one pass for all of them. Each
   * answer is the one that `generate` gives. @returns one a query, in their order
   */
  generateBatch(queries: readonly (string | BatchQuery)[], options: BatchOptions): Promise<Generation[]> {
    return generateBatch(this.engine, this, queries, options)
  }

  /**
   * How probable the model finds an answer: the natural logarithm of each answer token's probability behind the query
   * and the tokens before it. The cache is only read.
   */
  async logProbs(
    query: string,
    answer: string,
    options: { kv: KvCache } & JobOptions,
  ): Promise<AnswerLogProbs> {
    check(query, 'query', 'string')
    check(answer, 'answer', 'string')
    checkOptions(options, jobFields)
    const { signal } = options
    const ids = await this.tokenizer.encode(answer, { signal })
    if (ids.length === 0) throw new InputError('the answer is empty')
    const queryIds = await (await this.prompts).queryIds(query, signal)
    return { ids, logProbs: await this.logProbsIds(queryIds, ids, options) }
  }

  /** @returns (answer) natural logarithms */
  async logProbsIds(
    queryIds: Int32Array,
    answerIds: Int32Array,
    options: { kv: KvCache } & JobOptions,
  ): Promise<Float32Array> {
    check(queryIds, 'queryIds', 'ids')
    check(answerIds, 'answerIds', 'ids')
    checkOptions(options, jobFields)
    checkCache(options.kv)
    return watch(() => this.engine.logProbs(options.kv.native, queryIds, answerIds), options)
  }

  /**
   * Reads a cache that `kv.save` wrote. It answers as the saved one did.
   * @throws InputError when the file is no such cache, damaged, or of another model; nothing is left of it then
   */
  async restore(path: string, options: JobOptions = {}): Promise<KvCache> {
    check(path, 'path', 'path')
    checkOptions(options, jobFields)
    return restoreCache(path, this.engine, this.opened, this.identity, options)
  }

  /**
   * Scores chunks that lie in a row against a full cache of the job's context, which stays as it was.
   * @returns pairs (scored layers, kv_heads, positions of the chunks)
   */
  async scoreChunks(
    kv: KvCache,
    job: ScoreChunksParams,
    chunks: ReconstructionInput[],
    options: JobOptions = {},
  ): Promise<{ pairs: Float32Array; peakBytes: number }> {
    checkCache(kv)
    checkScorePairs(job)
    checkOneOf(job.sweep, 'sweep', ['full', 'chunk'])
    const { prefixIds, contextIds, sweep, method = 'kvzip' } = job
    checkChunks(chunks, 'chunks')
    checkOptions(options, jobFields)
    return watch(
      () =>
        this.engine.scoreChunks(kv.native, {
          prefix: prefixIds,
          context: contextIds,
          chunks,
          sweep,
          method,
        }),
      options,
    )
  }

  /** (layers) index in the model of each row of scores */
  get scoredLayerIds(): Int32Array {
    return scoredLayers(this.description.spec)
  }

  /** Scores every (scored layer, KV head) of a context in one sweep: see design of KVzip, arXiv 2505.23416. */
  async scorePairs(job: ScorePairsParams): Promise<ScoredPairs> {
    checkScorePairs(job)
    checkChunks(job.chunks, 'chunks')
    checkOptions(job, { ...jobFields, before: 'count?', after: 'count?', pairs: 'flag?' })
    if (job.chunks.length === 0)
      throw invalidParameter('chunks', 'a list of reconstruction inputs', job.chunks)
    const started = performance.now()
    const longest = Math.max(...job.chunks.map(({ ids }) => ids.length))
    const { prefixIds, contextIds, chunks, sweep, method = 'kvzip', before = 0, after = 0 } = job
    if (sweep !== 'block' && before + after > 0)
      throw new InputError('only the block sweep scores a part of a context: leave `before` and `after` out')
    const positions = prefixIds.length + before + contextIds.length + after + longest
    const { note, ...rope } = ropesFor(this.opened, positions)
    const text = { prefix: prefixIds, context: contextIds, ...rope }
    const scoring = sweep === 'block' ? { sweep, before, after } : { sweep }
    const result = await watch(
      () => this.engine.score({ ...text, ...scoring, chunks, method, pairs: job.pairs ?? false }),
      job,
    )
    const { max, mean, p99, pairs, peakBytes, kernels } = result
    return {
      layerIds: this.scoredLayerIds,
      max,
      mean,
      p99,
      pairs,
      rope: note,
      peakBytes,
      kernels,
      seconds: (performance.now() - started) / 1000,
    }
  }

  /** What the engine holds now, weights on a GPU included; `deviceBytes` is what everybody uses there, 0 on the CPU. */
  get memory(): NativeMemory {
    return this.engine.memory()
  }

  /** Bytes a second that a large copy reads and writes on the GPU; 0 on the CPU. */
  copyRate(): Promise<number> {
    return watch(() => this.engine.copyRate())
  }

  /** Mean query and mean key of every head over a text, with one layer of KV alive. @param textIds from `textIds` */
  async means(textIds: Int32Array, options: JobOptions = {}): Promise<Means> {
    check(textIds, 'textIds', 'ids')
    checkOptions(options, jobFields)
    const started = performance.now()
    const { note, ...rope } = ropesFor(this.opened, textIds.length)
    const means = await watch(() => this.engine.means({ text: textIds, tileRows: 0, ...rope }), options)
    return { ...means, rope: note, seconds: (performance.now() - started) / 1000 }
  }

  /**
   * Weights are read from their files while the model works. Call this before something is kept under the model's name.
   * @throws Error (HEADZIP_ENGINE) where a weight file is not as it was when the model was loaded
   */
  checkWeights(): void {
    this.engine.checkWeights()
  }

  /** Gives the weights' mapping and work memory back once running jobs and open caches have ended; ends the tokenizer. */
  close(): void {
    this.tokenizer.close()
    this.engine.close()
  }
}

/** @throws TypeError or RangeError that names which parameter of scoring is none */
export function checkScorePairs(job: unknown): void {
  checkOptions(job, { prefixIds: 'ids', contextIds: 'ids' })
  const { sweep, method = 'kvzip' } = job as Pick<ScorePairsParams, 'sweep' | 'method'>
  checkOneOf(sweep, 'sweep', ['full', 'chunk', 'block'])
  checkOneOf(method, 'method', ['kvzip', 'kvzip+'])
}

/** @throws TypeError for anything but a model */
export function checkModel(value: unknown): void {
  if (!(value instanceof Model)) throw invalidParameter('model', 'what loadModel gives', value, 'type')
}

export interface ModelOptions extends EngineOptions {
  /** What the model's tokenizer and chat template may take. */
  tokenizer?: TokenizerLimits | undefined
}

export interface LoadOptions extends ModelOptions, LocateOptions {}

/**
 * Opens a Hugging Face folder, a .gguf file, an embedded model, or a model on the hub by id or short name; what the
 * Hugging Face cache lacks of that is downloaded first.
 * @throws InputError with one sentence on what is missing or wrong, and where
 */
export async function loadModel(pathOrName: string, options: LoadOptions = {}): Promise<Model> {
  checkEngine(options)
  checkLimits(options.tokenizer)
  const { path, id } = await locateModel(pathOrName, options)
  return new Model(describeModel(path, id), options)
}
