const digits: Readonly<Record<string, string>> = {
  zero: '0',
  one: '1',
  two: '2',
  three: '3',
  four: '4',
  five: '5',
  six: '6',
  seven: '7',
  eight: '8',
  nine: '9',
}

// JavaScript's \b and \s are not Python's, by which the published scores were made: a word may hold any letter or
// digit, U+001C..1F and U+0085 are blanks, U+FEFF is none.
const wordEdgeBefore = '(?<![\\p{L}\\p{N}_])'
const wordEdgeAfter = '(?![\\p{L}\\p{N}_])'
const wholeWord = (words: string[]): RegExp =>
  new RegExp(`${wordEdgeBefore}(?:${words.join('|')})${wordEdgeAfter}`, 'gu')
const articles = wholeWord(['a', 'an', 'the'])
const numerals = wholeWord(Object.keys(digits))
const punctuation = /[!-/:-@[-`{-~]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are blanks to Python's split()
const blanks = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/
const outerBlanks = new RegExp(`^${blanks.source}|${blanks.source}$`, 'g')

/** Python's str.split(): words between blanks, none of them empty. */
export function wordsOf(text: string): string[] {
  return text.split(blanks).filter((word) => word !== '')
}

/** Python's str.strip(). */
export function strip(text: string): string {
  return text.replace(outerBlanks, '')
}

/**
 * SQuAD's normalisation with KVzip's numerals: lower case, no ASCII punctuation, no articles, single blanks, the words
 * zero to nine as digits.
 */
export function normalize(text: string): string {
  const bare = text.toLowerCase().replace(punctuation, '').replace(articles, ' ')
  return wordsOf(bare)
    .join(' ')
    .replace(numerals, (word) => digits[word] ?? word)
}

/** True for a prediction of blanks only, which every metric scores 0. */
export function isBlank(prediction: string): boolean {
  return wordsOf(prediction).length === 0
}
