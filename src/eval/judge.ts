/** Answers of one sample -> scores of its questions, and the sample's own score. */

import type { Sample } from '../data/sample.js'
import { InputError } from '../errors.js'
import {
  type MetricName,
  metricNameOf,
  scoreText,
  type TextMetricName,
  textMetrics,
  withoutEndTag,
} from './metrics/index.js'
import { mean } from './metrics/mean.js'
import { isBlank } from './metrics/normalize.js'
import { type EmptyRule, type RepoQaReferences, repoqa, repoqaAndKv, repoqaPasses } from './metrics/repoqa.js'

/** What a sample's answers are compared with. */
export type References = Pick<Sample, 'answers' | 'lang' | 'funcNames' | 'tasks'>

/** @returns one score a question, 0..1; an empty prediction scores 0 */
export async function judge(
  metric: MetricName,
  wanted: References,
  predictions: readonly string[],
): Promise<number[]> {
  switch (metric) {
    case 'repoqa':
      return (await repoqaPasses(predictions, codeOf(wanted))).map((pass) => pass ?? 0)
    case 'repoqa_and_kv': {
      const code = [...predictions.keys()].filter((i) => isCode(wanted, i))
      const passes = await repoqaPasses(predictions, codeOf(wanted), code)
      return predictions.map((prediction, i) =>
        isCode(wanted, i)
          ? (passes[code.indexOf(i)] ?? 0)
          : scoreText('include', prediction, wanted.answers[i]!),
      )
    }
    default:
      return predictions.map((prediction, i) =>
        scoreText(textMetricAt(metric, wanted, i), prediction, wanted.answers[i]!),
      )
  }
}

/** The mean of a sample's questions; of a code set with lookups, the mean of the two kinds' means. */
export function sampleScore(metric: MetricName, wanted: References, scores: readonly number[]): number {
  if (metric !== 'repoqa_and_kv') return mean(scores)
  const kinds = [true, false].map((code) => scores.filter((_, i) => isCode(wanted, i) === code))
  return mean(kinds.filter((kind) => kind.length > 0).map(mean))
}

/**
 * As the published evaluation counts empty predictions: out of the mean of functions. Where none is left it stops with
 * an error; here that sample scores 0.
 */
export async function publishedSampleScore(
  metric: MetricName,
  wanted: References,
  predictions: readonly string[],
): Promise<number> {
  const code = predictions.filter((_, i) => metric === 'repoqa' || isCode(wanted, i))
  const empty: EmptyRule = code.every((each) => isBlank(withoutEndTag(each))) ? 'zero' : 'published'
  if (metric === 'repoqa') return repoqa(predictions, codeOf(wanted), empty)
  if (metric === 'repoqa_and_kv')
    return mean(await repoqaAndKv(predictions, codeOf(wanted), wanted.tasks ?? [], empty))
  return sampleScore(metric, wanted, await judge(metric, wanted, predictions))
}

function isCode({ tasks }: References, i: number): boolean {
  return tasks?.[i]?.includes('repoqa') ?? false
}

function codeOf({ answers, lang, funcNames }: References): RepoQaReferences {
  return { references: answers, lang: lang ?? [], funcNames: funcNames ?? [] }
}

function textMetricAt(metric: MetricName, { tasks }: References, i: number): TextMetricName {
  const name = metric === 'by_task' ? metricNameOf(tasks?.[i] ?? '') : metric
  if (Object.hasOwn(textMetrics, name)) return name as TextMetricName
  throw new InputError(
    `question ${i} has the task ${tasks?.[i]}, whose metric ${name} judges whole samples only`,
  )
}
