/**
 * Sentence BLEU-4 of two pieces of code with Chen and Cherry's smoothing 4 in nltk's form, as RepoQA measures the
 * likeness of functions. Written out because the npm packages for BLEU know no smoothing 4.
 */
import { strip, wordsOf } from './normalize.js'

const orders = [1, 2, 3, 4] as const
/** nltk's constant in `1 / (2^k * k' / ln(candidate length))`. */
const smoothing = 5

export function functionSimilarity(candidate: string, reference: string): number {
  const said = tokensOf(candidate)
  const wanted = tokensOf(reference)
  let logSum = 0
  let misses = 0
  for (const order of orders) {
    const { matches, total } = clippedMatches(said, wanted, order)
    if (matches > 0) logSum += Math.log(matches / total) / orders.length
    else if (order === 1) return 0
    else if (said.length > 1) {
      misses++
      logSum += Math.log(Math.log(said.length) / (smoothing * 2 ** misses) / total) / orders.length
    }
  }
  const brevity = said.length < wanted.length ? Math.exp(1 - wanted.length / said.length) : 1
  return brevity * Math.exp(logSum)
}

/** An empty text is one empty token. */
function tokensOf(text: string): string[] {
  const tokens = wordsOf(strip(text))
  return tokens.length > 0 ? tokens : ['']
}

function clippedMatches(
  candidate: string[],
  reference: string[],
  order: number,
): { matches: number; total: number } {
  const left = countsOf(reference, order)
  let matches = 0
  for (const [gram, count] of countsOf(candidate, order)) matches += Math.min(count, left.get(gram) ?? 0)
  return { matches, total: Math.max(candidate.length - order + 1, 1) }
}

function countsOf(tokens: string[], order: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (let start = 0; start + order <= tokens.length; start++) {
    // no token holds a newline
    const gram = tokens.slice(start, start + order).join('\n')
    counts.set(gram, (counts.get(gram) ?? 0) + 1)
  }
  return counts
}
