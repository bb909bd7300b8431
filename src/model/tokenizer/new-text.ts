/** Tokens become text as they come. */

/** What is known of an answer's end. */
export interface TextSoFar {
  /**
   * The last tokens; of the first `read` of them the text is out. It starts a little before what is not: some tokenizers
   * drop the space that leads a list, so a token's text shows only behind its predecessor.
   */
  ids: number[]
  read: number
}

export interface NewTexts {
  /** One a token: what it adds, in whole characters. */
  pieces: string[]
  after: TextSoFar
}

/** @param last no more tokens come: what was held back is text, too, and comes as one more piece */
export function* newTexts(
  decode: (ids: number[]) => string,
  before: TextSoFar,
  ids: readonly number[],
  last: boolean,
): Generator<void, NewTexts> {
  let { ids: window, read } = before
  const take = (end: boolean): string => {
    const all = decode(window)
    // A character may be spread over tokens: hold back what may still change.
    if (all.endsWith('\ufffd') && !end) return ''
    const known = decode(window.slice(0, read))
    window = window.slice(read)
    read = window.length
    return all.slice(known.length)
  }
  const pieces: string[] = []
  for (const id of ids) {
    window = [...window, id]
    pieces.push(take(false))
    yield
  }
  if (last) pieces.push(take(true))
  return { pieces, after: { ids: window, read } }
}
