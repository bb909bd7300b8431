import { closest, distance } from 'fastest-levenshtein'

/**
 * The candidate that `word` was probably meant to be, for "did you mean": at most two letters in five, and four in all,
 * differ (letters that changed places are two); case does not count.
 * @returns undefined when none is as close, and for words of one or two letters, which resemble everything
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = word.toLowerCase()
  // The distance takes time with the square of the length, and what was typed may be anything.
  if (wanted.length < 3 || wanted.length > 64 || candidates.length === 0) return undefined
  const lower = candidates.map((candidate) => candidate.toLowerCase())
  const best = closest(wanted, lower)
  const most = wanted.length < 5 ? wanted.length - 2 : Math.min(4, Math.floor(wanted.length * 0.4))
  if (distance(wanted, best) > most) return undefined
  return candidates[lower.indexOf(best)]
}

/** `; did you mean score?` for the end of a message; '' when nothing is close. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : `; did you mean ${meant}?`
}
