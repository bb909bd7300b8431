/** The whole idea on the embedded model: score, merge, export, report, answer, and count right answers. */

import { join } from 'node:path'
import type { Sample } from '../data/sample.js'
import { readSamples } from '../data/samples.js'
import type { JobOptions, Progress } from '../engine/job.js'
import { exportDuo } from '../formats/duo.js'
import { exportKvzip, kvzipFileName } from '../formats/kvzip-pt.js'
import { loadModel, type Model } from '../inference/model.js'
import { type ReportPaths, writeReport } from '../report/report.js'
import { writeScores } from '../scores/arrow.js'
import { type Budget, budgetOf, longestSource } from '../scores/budget.js'
import type { HeadScores } from '../scores/head-scores.js'
import { mergeScores } from '../scores/merge.js'
import { randomHeads, selectHeads } from '../scores/select.js'
import { scoreHeads } from '../scoring/score.js'
import { type Arm, type ArmAccuracy, measureAccuracy } from './accuracy.js'

export interface DemoOptions extends Pick<JobOptions, 'signal'> {
  /** Folder for scores, exports and the report; what an earlier demo left there is replaced. */
  out: string
  data: readonly string[]
  ratio: number
  /** Random choices of heads to compare with. */
  draws: number
  /** Ask every question of every sample, which takes minutes. */
  all?: boolean | undefined
  onStep?: ((step: string) => void) | undefined
  onProgress?: ((step: string, progress: Progress) => void) | undefined
}

export interface DemoRow {
  /** `full cache`, `head ratio 0.6`, `random heads 0.6` */
  name: string
  /** One a data set, 0..1, means over the draws. */
  accuracy: number[]
  /** Share of the full cache's bytes that are held. */
  kv: number
}

export interface DemoResult {
  data: string[]
  /** Questions asked of each data set. */
  questions: number[]
  rows: DemoRow[]
  /** Of the merged scores, evicted as the table's heads are, at the longest scored context. */
  budget: Budget
  quickStart: { query: string; full: string; evicted: string }[]
  scoreFiles: string[]
  exports: string[]
  report: ReportPaths
}

/**
 * What is asked unless all is: samples of each data set, questions of each sample. A function takes some sixty tokens
 * to write, a fact three; this keeps the demo well under a minute on two cores.
 */
const few = { samples: 4, textQuestions: 8, codeQuestions: 3 }

const profile = 'This is my basic profile. My name is Kim living in Seoul. My major is computer science.'
const profileQueries = ['What is my name?', 'Do I live in Seoul?', 'What is my major?']

export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const model = await loadModel('nano')
  try {
    const { merged, files, scores } = await makeScores(model, options)
    const exports = await makeExports(merged, options)
    options.onStep?.('Drawing the report')
    const folder = join(options.out, 'report')
    const report = await writeReport(scores.length > 1 ? [...scores, merged] : scores, folder, {
      ratio: options.ratio,
      force: true,
    })
    const quickStart = await askProfile(model, merged, options)
    const { questions, rows } = await makeTable(model, merged, options)
    const data = scores.map(({ provenance }) => provenance.sources[0]!.data)
    // System prefix and question are always kept, and nothing else of an evicted head.
    const prefix = (await model.prompts).prefixIds.length
    const tokens = prefix + longestSource(merged)!
    const { budget } = budgetOf(merged, { ratio: options.ratio, sink: prefix, recent: 0, tokens })
    return { data, questions, rows, budget, quickStart, scoreFiles: files, exports, report }
  } finally {
    model.close()
  }
}

interface MadeScores {
  scores: HeadScores[]
  merged: HeadScores
  files: string[]
}

async function makeScores(model: Model, options: DemoOptions): Promise<MadeScores> {
  const { out, data, signal, onStep, onProgress } = options
  const scores: HeadScores[] = []
  const files: string[] = []
  for (const name of data) {
    const step = `Scoring the heads of nano on ${name}`
    onStep?.(step)
    const job = { signal, onProgress: (progress: Progress) => onProgress?.(step, progress) }
    const scored = await scoreHeads(model, { data: name, index: 0, ...job })
    scores.push(scored)
    const source = scored.provenance.sources[0]!
    files.push(join(out, 'head_scores/nano', `${source.data}-${source.index}.arrow`))
  }
  const merged = mergeScores(scores)
  files.push(join(out, 'head_scores/nano/merged.arrow'))
  for (const [i, each] of [...scores, merged].entries()) await writeScores(files[i]!, each, { force: true })
  return { scores, merged, files }
}

async function makeExports(merged: HeadScores, { out, onStep }: DemoOptions): Promise<string[]> {
  onStep?.('Exporting the merged scores for DuoAttention and KVzip')
  const duo = await exportDuo(merged, join(out, 'duo'), { force: true })
  const kvzip = await exportKvzip(merged, join(out, 'kvzip', kvzipFileName(merged)), { force: true })
  return [...duo.files, ...kvzip.files]
}

async function askProfile(
  model: Model,
  scores: HeadScores,
  { ratio, signal, onStep }: DemoOptions,
): Promise<DemoResult['quickStart']> {
  onStep?.(`Answering from a short profile with ${ratio} of the KV heads`)
  const full = await model.prefill(profile, { scores, signal })
  const evicted = full.clone()
  evicted.prune({ level: 'head', ratio })
  const answers: DemoResult['quickStart'] = []
  for (const query of profileQueries) {
    const ask = async (kv: typeof full): Promise<string> =>
      (await model.generate(query, { kv, maxNewTokens: 16, signal })).text
    answers.push({ query, full: await ask(full), evicted: await ask(evicted) })
  }
  full.close()
  evicted.close()
  return answers
}

async function makeTable(
  model: Model,
  merged: HeadScores,
  options: DemoOptions,
): Promise<Pick<DemoResult, 'questions' | 'rows'>> {
  const { data, ratio, draws, all = false, signal, onStep, onProgress } = options
  const sets = await Promise.all(data.map((name) => readSamples(name)))
  const samples = sets.flatMap((set) => (all ? set : set.slice(0, few.samples)))
  const random = Array.from({ length: draws }, (_, seed) => ({
    name: `random ${seed}`,
    keep: randomHeads(merged, ratio, seed),
  }))
  const arms: Arm[] = [
    { name: 'full', keep: null },
    { name: 'head', keep: selectHeads(merged, { ratio }).keep },
    ...random,
  ]
  const step = `Asking questions on ${samples.length} contexts in ${arms.length} ways of evicting`
  onStep?.(step)
  const results = await measureAccuracy(model, samples, arms, {
    signal,
    ...(!all && {
      questionsOf: (sample: Sample) => (isCode(sample) ? few.codeQuestions : few.textQuestions),
    }),
    onProgress: (progress) => onProgress?.(step, progress),
  })
  const row = (name: string, which: readonly Arm[]): DemoRow => ({
    name,
    ...averages(results.filter(({ arm }) => which.some((each) => each.name === arm))),
  })
  return {
    questions: results.filter(({ arm }) => arm === 'full').map((each) => each.questions),
    rows: [
      row('full cache', arms.slice(0, 1)),
      row(`head ratio ${ratio}`, arms.slice(1, 2)),
      row(`random heads ${ratio}, mean of ${draws}`, random),
    ],
  }
}

function isCode(sample: Sample): boolean {
  return sample.funcNames !== undefined
}

/** Accuracy a data set, and the share of KV, over several arms. */
function averages(results: ArmAccuracy[]): { accuracy: number[]; kv: number } {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const data = [...new Set(results.map((each) => each.data))]
  const bytes = results.reduce((sum, each) => sum + each.bytes, 0)
  const fullBytes = results.reduce((sum, each) => sum + each.fullBytes, 0)
  return {
    accuracy: data.map((name) =>
      mean(results.filter((each) => each.data === name).map((each) => each.accuracy)),
    ),
    kv: bytes / fullBytes,
  }
}
