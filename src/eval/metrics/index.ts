/** The metrics by name, and the rule by which a data set's name chooses one. */

import { f1 } from './f1.js'
import { include } from './include.js'
import { isBlank } from './normalize.js'
import { rougeL } from './rouge-l.js'
import {
  exactMatch,
  f1OrInclude,
  includeFirstLine,
  includeGsm,
  includeManyShot,
  includeMulti,
} from './text-metrics.js'

/** 0 to 1, for one answer. */
export type Metric = (prediction: string, reference: string) => number

export const textMetrics = {
  include,
  include_multi: includeMulti,
  include_manyshot: includeManyShot,
  include_first_line: includeFirstLine,
  include_gsm: includeGsm,
  exact_match: exactMatch,
  f1,
  f1_or_include: f1OrInclude,
  rouge_l: rougeL,
} as const satisfies Record<string, Metric>

export type TextMetricName = keyof typeof textMetrics
/** Those of code judge a sample's answers together, see repoqa.ts. */
export type MetricName = TextMetricName | 'repoqa' | 'repoqa_and_kv' | 'by_task'

/** As published, tested in this order. */
const byName: readonly (readonly [part: string, metric: MetricName])[] = [
  ['repoqa_and_kv', 'repoqa_and_kv'],
  ['repoqa', 'repoqa'],
  ['summary_with_needles', 'by_task'],
  ['_vt', 'include_multi'],
  ['_mf', 'exact_match'],
  ['_many_shot', 'include_manyshot'],
  ['summary', 'rouge_l'],
  ['qa_eng', 'f1_or_include'],
  ['choice_eng', 'include_first_line'],
  ['gsm', 'include_gsm'],
]

/** The metric of a data set, chosen by its name as the published evaluation does; `include` where no rule fits. */
export function metricNameOf(data: string): MetricName {
  return byName.find(([part]) => data.includes(part))?.[1] ?? 'include'
}

/** `</s>` is no part of an answer, and an answer of blanks only is worth nothing, whatever the metric. */
export function scoreText(metric: TextMetricName, prediction: string, reference: string): number {
  const answer = withoutEndTag(prediction)
  return isBlank(answer) ? 0 : textMetrics[metric](answer, reference)
}

export function withoutEndTag(prediction: string): string {
  return prediction.endsWith('</s>') ? prediction.slice(0, -4) : prediction
}
