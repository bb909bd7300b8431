import { functionMatch } from './function-match.js'
import { include } from './include.js'

/** 0 to 1, for one answer. */
export type Metric = (prediction: string, reference: string) => number

/** The metric of a data set, chosen by its name as the published evaluation does. */
export function metricOf(data: string): Metric {
  return data.includes('repoqa') ? functionMatch : include
}
