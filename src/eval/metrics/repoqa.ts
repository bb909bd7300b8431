/** RepoQA's judgement of retrieved functions, as SCBench and KVzip publish it. */

import { InputError } from '../../errors.js'
import { functionSimilarity } from './bleu.js'
import { extractFunction, fencedBlocks } from './extract-function.js'
import { include } from './include.js'
import { withoutEndTag } from './index.js'
import { mean } from './mean.js'
import { isBlank } from './normalize.js'

/** The best match must be this alike. */
const threshold = 0.8

export interface RepoQaReferences {
  /** One a query, or one for all. */
  lang: string | readonly string[]
  /** One a query. */
  funcNames: readonly string[]
  references: readonly string[]
}

/**
 * Each answer is compared with every reference of the sample: it is right when the one most like it is the function
 * asked for and at least 0.8 alike.
 * @param only the queries to judge; the references of the others are candidates all the same
 * @returns one a query of `only`: 1, 0, or null for an empty prediction
 */
export async function repoqaPasses(
  predictions: readonly string[],
  wanted: RepoQaReferences,
  only: readonly number[] = [...predictions.keys()],
): Promise<(number | null)[]> {
  const candidates = wanted.references.map((code) => fencedBlocks(code)[0] ?? code)
  const passes: (number | null)[] = []
  for (const query of only) {
    const prediction = withoutEndTag(predictions[query]!)
    if (isBlank(prediction)) {
      passes.push(null)
      continue
    }
    const lang = typeof wanted.lang === 'string' ? wanted.lang : (wanted.lang[query] ?? '')
    const code = await extractFunction(prediction, lang)
    let best = { similarity: 0, name: '' }
    for (const [i, candidate] of candidates.entries()) {
      const similarity = functionSimilarity(code, candidate)
      if (similarity > best.similarity) best = { similarity, name: wanted.funcNames[i] ?? '' }
    }
    passes.push(best.name === wanted.funcNames[query] && best.similarity >= threshold ? 1 : 0)
  }
  return passes
}

export type EmptyRule = 'zero' | 'published'

/** @param empty `published` leaves empty predictions out of the mean. @throws InputError when nothing is left */
export async function repoqa(
  predictions: readonly string[],
  wanted: RepoQaReferences,
  empty: EmptyRule = 'zero',
): Promise<number> {
  return meanPass(await repoqaPasses(predictions, wanted), empty)
}

/**
 * scbench_repoqa_and_kv.
 * @param tasks one a query; those named after kv are key-value lookups
 * @param empty `published` lets every empty prediction, code's too, count as a wrong lookup, and leaves it out of the
 *   code's mean
 * @returns [mean of the lookups, mean of the functions]
 */
export async function repoqaAndKv(
  predictions: readonly string[],
  wanted: RepoQaReferences,
  tasks: readonly string[],
  empty: EmptyRule = 'zero',
): Promise<[number, number]> {
  const lookups: number[] = []
  for (const [i, given] of predictions.entries()) {
    const prediction = withoutEndTag(given)
    const isLookup = tasks[i]!.includes('kv') && !tasks[i]!.includes('repoqa')
    if (isBlank(prediction) && (isLookup || empty === 'published')) lookups.push(0)
    else if (isLookup) lookups.push(include(prediction, wanted.references[i]!))
  }
  if (lookups.length === 0) throw new InputError('there is no key-value query among the tasks of the sample')
  const code = [...predictions.keys()].filter((i) => tasks[i]!.includes('repoqa'))
  return [mean(lookups), meanPass(await repoqaPasses(predictions, wanted, code), empty)]
}

function meanPass(passes: readonly (number | null)[], empty: EmptyRule): number {
  const counted = passes.flatMap((pass) => (pass !== null ? [pass] : empty === 'zero' ? [0] : []))
  if (counted.length === 0) throw new InputError('no answer with a function is left to be judged')
  return mean(counted)
}
