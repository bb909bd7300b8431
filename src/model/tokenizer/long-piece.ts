/**
 * Byte pairs of one long piece, in steps between which others may work. By hand, as the library merges a piece in one
 * go, which takes seconds for a megabyte of blanks, or of a text that is never split.
 */

import FlatQueue from 'flatqueue'

const stepSize = 2048
const none = -1

/**
 * The pair of lowest rank is merged first, the leftmost of several.
 * @param ranks by the JSON of a pair
 * @returns the tokens that are left
 */
export function* mergePiece(piece: string, ranks: ReadonlyMap<string, number>): Generator<void, string[]> {
  const pairs = new Pairs(ranks)
  // By the position of a token's first character; `none` where another token has swallowed it.
  const token = new Int32Array(piece.length)
  const next = new Int32Array(piece.length)
  const previous = new Int32Array(piece.length)
  let count = 0
  for (const character of piece) {
    token[count] = pairs.numberOf(character)
    previous[count] = count - 1
    next[count] = ++count
    if (count % stepSize === 0) yield
  }
  // Ranks and positions in one whole number: below 2^53 up to ten million merges and characters of half a gigabyte.
  const queue = new FlatQueue()
  const enter = (at: number): void => {
    if (at < 0 || next[at]! >= count) return
    const rank = pairs.rankOf(token[at]!, token[next[at]!]!)
    if (rank !== none) queue.push(at, rank * count + at)
  }
  for (let at = 0; at < count; at++) {
    enter(at)
    if (at % stepSize === 0) yield
  }
  for (let step = 0; queue.length > 0; step++) {
    if (step % stepSize === 0) yield
    const rank = Math.floor(queue.peekValue()! / count)
    const left = queue.pop()!
    const right = next[left]!
    // Of the pair that was entered, either may have been merged since.
    if (token[left] === none || right >= count || pairs.rankOf(token[left]!, token[right]!) !== rank) continue
    token[left] = pairs.mergedOf(token[left]!, token[right]!)
    token[right] = none
    next[left] = next[right]!
    if (next[left]! < count) previous[next[left]!] = left
    enter(previous[left]!)
    enter(left)
  }
  const tokens: string[] = []
  for (let at = 0; at < count; at = next[at]!) tokens.push(pairs.textOf(token[at]!))
  return tokens
}

/** Tokens by number, so that a pair is looked up by its text once only. */
class Pairs {
  private readonly texts: string[] = []
  private readonly numbers = new Map<string, number>()
  private readonly known = new Map<number, number>()

  constructor(private readonly ranks: ReadonlyMap<string, number>) {}

  numberOf(text: string): number {
    let number = this.numbers.get(text)
    if (number === undefined) {
      number = this.texts.push(text) - 1
      this.numbers.set(text, number)
    }
    return number
  }

  textOf(number: number): string {
    return this.texts[number]!
  }

  rankOf(left: number, right: number): number {
    const key = left * 2 ** 26 + right
    let rank = this.known.get(key)
    if (rank === undefined) {
      rank = this.ranks.get(JSON.stringify([this.texts[left], this.texts[right]])) ?? none
      this.known.set(key, rank)
    }
    return rank
  }

  mergedOf(left: number, right: number): number {
    return this.numberOf(this.texts[left]! + this.texts[right]!)
  }
}
