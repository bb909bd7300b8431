/** Data set x ratio x level -> result files, a sample at a time, going on where an earlier run stopped. */

import { dirname } from 'node:path'
import { checkEach, checkList, checkOneOf, checkOptions, jobFields, writeFields } from '../check.js'
import type { JobOptions } from '../engine/job.js'
import { version } from '../engine/version.js'
import { InputError } from '../errors.js'
import { sweepTemporaries } from '../files/temporary.js'
import { checkWritable } from '../files/write.js'
import { checkModel, type Model } from '../inference/model.js'
import { checkScoresFit } from '../inference/scores-fit.js'
import { itemsOf, type Shard, wholeWork } from '../shard.js'
import { type AnswerOptions, answerSample, scoresPairs, workOf } from './answers.js'
import { type Arm, type ArmsOptions, armKey, armsOf, evaluationLevels } from './arms.js'
import { checkNamedScores, checkShard } from './check.js'
import { type PlannedSample, type PlanOptions, planSamples } from './plan.js'
import type { ResultHeader, ResultSettings, SampleResult } from './record.js'
import { mergeResults, readResult, refuseDifferent, resultPath, writeResult } from './store.js'

export interface EvaluateOptions
  extends Omit<PlanOptions, 'scoredChunk'>,
    Omit<ArmsOptions, 'shape'>,
    Omit<AnswerOptions, 'onDone' | 'signal'>,
    Pick<JobOptions, 'onProgress'> {
  /** Folder for <model>/<data>/<index>.arrow. */
  out: string
  shard?: Shard | undefined
  /** Replace results that were made under other settings, instead of refusing to go on. */
  force?: boolean | undefined
  onSample?: ((path: string) => void) | undefined
}

export interface EvaluateSummary {
  /** Folder of the model's results. */
  files: string[]
  /** Samples of this shard: answered now, and found answered. */
  answered: number
  present: number
  /** Samples in all shards. */
  samples: number
}

/** @throws InputError before anything is computed when a sample does not fit, or earlier results do not belong */
export async function evaluate(model: Model, options: EvaluateOptions): Promise<EvaluateSummary> {
  checkModel(model)
  checkEvaluation(options)
  for (const { scores } of options.scores) checkScoresFit(scores, model.identity)
  const arms = armsOf({ ...options, shape: model.identity })
  const scoredChunk = scoresPairs(arms) ? options.chunkSize : null
  const planned = await planSamples(model, { ...options, scoredChunk })
  const tasks: Task[] = []
  for (const plan of itemsOf(planned, options.shard ?? wholeWork))
    tasks.push(await taskOf(model, plan, arms, options))
  const open = tasks.filter((task) => task.missing.length > 0)
  for (const folder of new Set(tasks.map(({ path }) => dirname(path)))) await sweepTemporaries(folder)
  for (const { path } of open) await checkWritable(path, { force: true })
  const total = open.reduce((sum, { plan, missing }) => sum + workOf(plan, missing), 0)
  let done = 0
  for (const task of open) {
    const work = workOf(task.plan, task.missing)
    const rows = await answerSample(model, task.plan, task.missing, {
      ...options,
      onDone: (share) => options.onProgress?.({ done: Math.min((done + share * work) / total, 0.999) }),
    })
    model.checkWeights()
    const made: SampleResult = { ...task.header, rows }
    const { path, present } = task
    await writeResult(path, present ? mergeResults(present, made, [path, 'this run']) : made)
    done += work
    options.onSample?.(path)
  }
  options.onProgress?.({ done: 1 })
  return {
    files: tasks.map(({ path }) => path),
    answered: open.length,
    present: tasks.length - open.length,
    samples: planned.length,
  }
}

function checkEvaluation(options: EvaluateOptions): void {
  checkOptions(options, {
    ...jobFields,
    ...writeFields,
    out: 'path',
    draws: 'positive',
    chunkSize: 'positive',
    sink: 'count',
    recent: 'positive',
    num: 'positive?',
    questions: 'positive?',
    maxContext: 'positive?',
    maxDataBytes: 'bytes?',
    needle: 'object?',
    fetch: 'function?',
    onNote: 'function?',
    onSample: 'function?',
  })
  checkList(options.data, 'data', 'path')
  checkList(options.ratios, 'ratios', 'ratio')
  checkEach(options.levels, 'levels', (level, name) => checkOneOf(level, name, evaluationLevels))
  checkEach(options.scores, 'scores', checkNamedScores, 0)
  checkOneOf(options.kind, 'kind', ['evict', 'retain'])
  checkOneOf(options.sweep, 'sweep', ['full', 'chunk', 'block'])
  checkOneOf(options.rule, 'rule', ['exact', 'published'])
  if (options.template !== undefined) checkOneOf(options.template, 'template', ['plain', 'qa', 'reason'])
  if (options.shard !== undefined) checkShard(options.shard, 'shard')
}

interface Task {
  plan: PlannedSample
  path: string
  header: ResultHeader
  present: SampleResult | undefined
  missing: Arm[]
}

async function taskOf(
  model: Model,
  plan: PlannedSample,
  arms: readonly Arm[],
  options: EvaluateOptions,
): Promise<Task> {
  const { id } = model.description
  const { data, index } = plan.sample
  const path = resultPath(options.out, id, data, index)
  const header = headerOf(model, plan, options)
  let present = await readResult(path)
  if (present) {
    try {
      refuseDifferent(present, header, [path, 'this run'])
    } catch (error) {
      if (!options.force)
        throw new InputError(`${(error as Error).message}; --force makes it anew, --out takes another folder`)
      present = undefined
    }
  }
  const answered = new Set(present?.rows.map(armKey))
  return { plan, path, header, present, missing: arms.filter((arm) => !answered.has(armKey(arm))) }
}

function headerOf(model: Model, plan: PlannedSample, options: EvaluateOptions): ResultHeader {
  const { sample, metric, template, generationLength, hash, contextIds, queries } = plan
  const { answers, lang, funcNames, tasks, needle } = sample
  const { kind, sweep, chunkSize, rule, sink, recent, maxContext } = options
  const settings: ResultSettings = {
    modelHash: model.description.hash,
    metric,
    template,
    generationLength,
    kind,
    sweep,
    chunkSize,
    rule,
    sink,
    recent,
    maxContext: maxContext ?? null,
    questions: queries.length,
    sample: hash,
  }
  return {
    model: model.description.id,
    data: sample.data,
    index: sample.index,
    tokens: contextIds.length,
    settings,
    references: {
      answers,
      ...(lang && { lang }),
      ...(funcNames && { funcNames }),
      ...(tasks && { tasks }),
    },
    ...(needle && { needle }),
    scoreHashes: Object.fromEntries(options.scores.map(({ label, hash }) => [label, hash])),
    arithmetic: model.arithmetic,
    engineVersion: version,
  }
}
