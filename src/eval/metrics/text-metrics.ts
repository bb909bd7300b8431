/** Metrics of one prediction against one reference, 0..1, as SCBench and KVzip publish them (results/metric.py). */

import { InputError } from '../../errors.js'
import { f1 } from './f1.js'
import { include } from './include.js'
import { normalize, strip } from './normalize.js'

/** scbench_vt: the share of the reference's variables, joined by `, `, that stand in the prediction as they are. */
export function includeMulti(prediction: string, reference: string): number {
  const wanted = reference.split(', ')
  return wanted.filter((name) => prediction.includes(name)).length / wanted.length
}

/** scbench_mf: equal to the last blank. */
export function exactMatch(prediction: string, reference: string): number {
  return prediction === reference ? 1 : 0
}

/**
 * scbench_many_shot: letters in brackets are compared where both have one, else the option's text is looked for.
 * @throws InputError for a reference that opens a bracket and does not close it, or is empty
 */
export function includeManyShot(prediction: string, reference: string): number {
  if (prediction.includes('(') && reference.includes('(')) {
    return bracketed(prediction) === bracketed(reference) ? 1 : 0
  }
  if (reference === '') throw new InputError('an option to look for is empty: ground_truth must name one')
  const text = reference.startsWith('(') ? reference.split(')')[1] : reference
  if (text === undefined)
    throw new InputError(`the option '${reference}' opens a bracket that it does not close`)
  return normalize(prediction).includes(normalize(strip(text))) ? 1 : 0
}

/** What stands between the first `(` and the next `)`, or the end. */
function bracketed(text: string): string {
  return text.split('(')[1]!.split(')')[0]!
}

/** scbench_qa_eng: a short answer may be a part of the reference, or the reference a part of it. */
export function f1OrInclude(prediction: string, reference: string): number {
  return Math.max(f1(prediction, reference), include(prediction, reference))
}

/** scbench_choice_eng: explanations from the second line on do not count. */
export function includeFirstLine(prediction: string, reference: string): number {
  return normalize(prediction.split('\n')[0]!).includes(normalize(reference)) ? 1 : 0
}

/** gsm: what follows the last "the answer is " holds what follows the last "#### ". */
export function includeGsm(prediction: string, reference: string): number {
  const said = strip(prediction).toLowerCase().split('the answer is ').at(-1)!
  return said.includes(strip(reference).split('#### ').at(-1)!) ? 1 : 0
}
