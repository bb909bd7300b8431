/**
 * ROUGE-L over a summary's sentences, by the rules of the Python package `rouge` 1.0.1, which the published scores
 * were made with: words are counted as sets, beta is 1, and the denominator carries 1e-8, so that equal texts give
 * 0.999999995. No package on npm follows these rules.
 */
import { wordsOf } from './normalize.js'

export function rougeL(prediction: string, reference: string): number {
  const predicted = sentencesOf(prediction)
  const wanted = sentencesOf(reference)
  if (predicted.length === 0 || wanted.length === 0) return 0
  const met = new Set<string>()
  for (const sentence of wanted)
    for (const other of predicted) for (const word of commonWords(sentence, other)) met.add(word)
  const recall = met.size / new Set(wanted.flat()).size
  const precision = met.size / new Set(predicted.flat()).size
  return (2 * precision * recall) / (precision + recall + 1e-8)
}

/** A piece of blanks is one sentence of one empty word. */
function sentencesOf(text: string): string[][] {
  return text
    .split('.')
    .filter((piece) => piece !== '')
    .map((piece) => {
      const words = wordsOf(piece)
      return words.length > 0 ? words : ['']
    })
}

/** Words of a longest common subsequence. Which one matters: at a tie the step goes along `b`. */
function commonWords(a: string[], b: string[]): string[] {
  const width = b.length + 1
  // (a.length + 1, b.length + 1) length of the longest common subsequence of the first i and j words
  const table = new Uint32Array((a.length + 1) * width)
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i * width + j] =
        a[i - 1] === b[j - 1]
          ? table[(i - 1) * width + j - 1]! + 1
          : Math.max(table[(i - 1) * width + j]!, table[i * width + j - 1]!)
  const words: string[] = []
  for (let i = a.length, j = b.length; i > 0 && j > 0; ) {
    if (a[i - 1] === b[j - 1]) {
      words.push(a[i - 1]!)
      i--
      j--
    } else if (table[(i - 1) * width + j]! > table[i * width + j - 1]!) i--
    else j--
  }
  return words
}
