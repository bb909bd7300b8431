import { normalize, wordsOf } from './normalize.js'

/** F1 over counts of normalised words (SQuAD's; KVzip, results/metric.py `f1_score`). */
export function f1(prediction: string, reference: string): number {
  const predicted = wordsOf(normalize(prediction))
  const wanted = wordsOf(normalize(reference))
  const left = new Map<string, number>()
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1)
  let same = 0
  for (const word of predicted) {
    const count = left.get(word) ?? 0
    if (count > 0) {
      same++
      left.set(word, count - 1)
    }
  }
  if (same === 0) return 0
  const precision = same / predicted.length
  const recall = same / wanted.length
  return (2 * precision * recall) / (precision + recall)
}
