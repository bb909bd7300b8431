/** Tokens become text as they come: whole characters only, and never a part of a stop string. */

import { invalidParameter } from '../errors.js'
import type { TextSoFar } from '../model/tokenizer/new-text.js'
import type { Tokenizer } from '../model/tokenizer.js'

/** @throws TypeError or RangeError unless it is a non-empty string or a list of them */
export function checkStops(stop: string | readonly string[] | undefined): string[] {
  const stops = stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop
  if (!Array.isArray(stops)) throw invalidParameter('stop', 'a string or a list of strings', stop, 'type')
  for (const each of stops) {
    if (typeof each !== 'string')
      throw invalidParameter('stop', 'a string or a list of strings', each, 'type')
    if (each === '') throw invalidParameter('stop', 'a string that is not empty', each)
  }
  return [...stops]
}

export class AnswerText {
  /** All that may be shown so far. */
  text = ''
  /** Tokens that have been taken; those after a stop string are not. */
  tokens = 0
  stopped = false
  /** Whole characters that may still turn out to be part of a stop string. */
  private held = ''
  private soFar: TextSoFar = { ids: [], read: 0 }

  constructor(
    private readonly tokenizer: Pick<Tokenizer, 'newText'>,
    private readonly stops: readonly string[] = [],
  ) {}

  /** Takes tokens up to the one that completes a stop string; one call at a time. @returns new text that may be shown */
  async push(ids: Iterable<number>): Promise<string> {
    const before = this.text.length
    const taken = Array.from(ids)
    if (this.stopped || taken.length === 0) return ''
    for (const piece of await this.read(taken, false)) {
      if (this.stopped) break
      this.tokens++
      this.add(piece)
    }
    return this.text.slice(before)
  }

  /** No more tokens come: what was held back is text after all. */
  async end(): Promise<string> {
    const before = this.text.length
    if (this.stopped) return ''
    for (const piece of await this.read([], true)) this.add(piece)
    this.text += this.held
    this.held = ''
    return this.text.slice(before)
  }

  private async read(ids: number[], last: boolean): Promise<string[]> {
    const { pieces, after } = await this.tokenizer.newText(this.soFar, ids, last)
    this.soFar = after
    return pieces
  }

  private add(piece: string): void {
    this.held += piece
    const found = this.stops.map((stop) => this.held.indexOf(stop)).filter((at) => at >= 0)
    if (found.length > 0) {
      this.text += this.held.slice(0, Math.min(...found))
      this.held = ''
      this.stopped = true
      return
    }
    const safe = this.held.length - Math.max(0, ...this.stops.map((stop) => overlap(this.held, stop)))
    this.text += this.held.slice(0, safe)
    this.held = this.held.slice(safe)
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--)
    if (text.endsWith(stop.slice(0, length))) return length
  return 0
}
