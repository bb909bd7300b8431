/** What an evaluation will ask: samples that fit the model, with the metric, the words and the lengths of each set. */

import { createHash } from 'node:crypto'
import { type NeedleOptions, publishedLengths } from '../data/needle.js'
import type { Sample } from '../data/sample.js'
import { type FetchDatasetFile, readSamples } from '../data/samples.js'
import { dataSetName, packagedNames } from '../data/sets.js'
import { generationLength, queryText, type Template, templateOf } from '../data/templates.js'
import { InputError, invalidParameter } from '../errors.js'
import { cutMiddle } from '../inference/cut-middle.js'
import type { Model } from '../inference/model.js'
import { reconstructionInputs } from '../model/reconstruction.js'
import { remedies } from '../model/too-long.js'
import { type MetricName, metricNameOf } from './metrics/index.js'

export interface PlanOptions {
  /** Names or files of data sets. */
  data: readonly string[]
  /** Of each data set, at most so many samples, from the first. */
  num?: number | undefined
  /** Of each sample, at most so many questions, from the first. */
  questions?: number | undefined
  /** Contexts with more tokens lose their middle. */
  maxContext?: number | undefined
  needle?: NeedleOptions | undefined
  /** Of a Parquet file's data, as `readSamples` takes it. */
  maxDataBytes?: number | undefined
  template?: Template | undefined
  /** Tokens of a reconstruction input's chunk, where pairs will be scored; null where not. */
  scoredChunk: number | null
  fetch?: FetchDatasetFile | undefined
  signal?: AbortSignal | undefined
  /** Told what differs from the published evaluation. */
  onNote?: ((note: string) => void) | undefined
}

export interface PlannedSample {
  sample: Sample
  metric: MetricName
  template: Template
  generationLength: number | 'by reference'
  prefixIds: Int32Array
  contextIds: Int32Array
  /** As asked, template included. */
  queries: string[]
  /** Most new tokens, one a query. */
  lengths: number[]
  /** sha256 of what is read, asked and expected */
  hash: string
}

/** @throws InputError naming the sample that does not fit the model, or file, column and row of what is wrong */
export async function planSamples(model: Model, options: PlanOptions): Promise<PlannedSample[]> {
  const { num, questions, maxContext } = options
  for (const [name, value] of Object.entries({ num, questions, 'max-context': maxContext }))
    if (value !== undefined && !(Number.isInteger(value) && value > 0))
      throw invalidParameter(`--${name}`, 'a positive whole number', value)
  const planned: PlannedSample[] = []
  const names = new Set<string>()
  for (const nameOrFile of options.data) {
    const data = dataSetName(nameOrFile)
    if (names.has(data)) throw new InputError(`the data set ${data} is named twice`)
    names.add(data)
    const samples = await readSamples(nameOrFile, {
      tokenizer: model.tokenizer,
      needle: await needleFor(model, data, options),
      fetch: options.fetch,
      signal: options.signal,
      maxDataBytes: options.maxDataBytes,
      metric: metricNameOf(data),
    })
    for (const sample of samples.slice(0, num)) planned.push(await planSample(model, sample, options))
  }
  return planned
}

async function planSample(model: Model, given: Sample, options: PlanOptions): Promise<PlannedSample> {
  const sample = firstQuestions(given, options.questions ?? given.queries.length)
  const { data } = sample
  const template = options.template ?? templateOf(data)
  const length = packagedNames.includes(data) ? 'by reference' : generationLength(data)
  const queries = sample.queries.map((query) => queryText(template, query))
  const { prefixIds, reasoningPrefixIds } = await model.prompts
  const { signal } = options
  const plan: PlannedSample = {
    sample,
    metric: metricNameOf(data),
    template,
    generationLength: length,
    prefixIds: template === 'reason' ? reasoningPrefixIds : prefixIds,
    contextIds: cutMiddle(await model.contextIds(sample.context, signal), options.maxContext),
    queries,
    lengths: await Promise.all(
      sample.answers.map(async (answer) => {
        if (length !== 'by reference') return length
        return lengthByReference((await model.tokenizer.encode(answer, { signal })).length)
      }),
    ),
    hash: createHash('sha256').update(JSON.stringify(sample)).digest('hex'),
  }
  await checkFits(model, plan, options)
  return plan
}

/** An answer longer than its reference by more than this is wrong, or right already. */
function lengthByReference(tokens: number): number {
  return Math.ceil(tokens * 1.25) + 8
}

/** All references stay: where code is judged, they are what an answer may be mistaken for. */
function firstQuestions(sample: Sample, most: number): Sample {
  if (sample.queries.length === 0)
    throw new InputError(`${sample.data} ${sample.index} has no question: there is nothing to judge`)
  return { ...sample, queries: sample.queries.slice(0, most) }
}

async function checkFits(model: Model, plan: PlannedSample, { scoredChunk }: PlanOptions): Promise<void> {
  const { sample, prefixIds, contextIds, queries, lengths } = plan
  const { id, reach } = model.description
  const prompts = await model.prompts
  const queryIds = await Promise.all(queries.map((query) => prompts.queryIds(query)))
  const answered = queryIds.map((ids, i) => ids.length + lengths[i]!)
  const chunks =
    scoredChunk === null ? [] : reconstructionInputs(contextIds, { chunkSize: scoredChunk, prompts })
  const repeated = Math.max(0, ...chunks.map(({ ids }) => ids.length))
  const extra = Math.max(...answered, repeated)
  const read = prefixIds.length + contextIds.length
  const needed = read + extra
  const positions = model.positionsFor(read + repeated)
  if (needed <= positions) return
  const what = Math.max(...answered) === extra ? 'its longest question and answer' : 'its repetition'
  const sizes = {
    positions,
    prefix: prefixIds.length,
    context: contextIds.length,
    chunks,
    spare: Math.max(...answered),
  }
  throw new InputError(
    `${sample.data} ${sample.index} has ${contextIds.length} tokens and needs ${needed} positions with ${what}, ` +
      `but ${id} has ${positions}${positions < reach ? ' behind a context of that length' : ''}${remedies(model.description, { ...sizes, cut: 'cuts its middle out' })}`,
  )
}

/** Tokens kept free for question and answer, and for the prompt before a repeated chunk. */
const spareTokens = 100

/** The published lengths, or what a smaller model has room for in their place, which is told. */
async function needleFor(
  model: Model,
  data: string,
  options: PlanOptions,
): Promise<NeedleOptions | undefined> {
  const { needle, scoredChunk, onNote } = options
  if (data !== 'needle' || needle?.lengths) return needle
  const { id, reach } = model.description
  const { prefixIds } = await model.prompts
  const extra = prefixIds.length + spareTokens + (scoredChunk ?? 0)
  const room = reach - extra
  // Ropes for short contexts may end before a question behind the longest of them does.
  const fits = (length: number): boolean => length + extra <= model.positionsFor(length + extra - spareTokens)
  const fitting = publishedLengths.filter(fits)
  if (fitting.length < publishedLengths.length) {
    const longest = Math.floor(room / 500) * 500
    if (longest > (fitting.at(-1) ?? 0)) fitting.push(longest)
    onNote?.(
      `needle: contexts of ${fitting.join(', ')} tokens instead of ${publishedLengths.join(', ')}, ` +
        `since ${id} has ${reach} positions; --needle-lengths chooses others`,
    )
  }
  return { ...needle, lengths: fitting }
}
