/** Ratios as people write them on a command line. */

import { checkRatio, InputError, invalidParameter } from '../errors.js'

const mostRatios = 1000
const number = '\\d*\\.?\\d+(?:e-?\\d+)?'

/**
 * `0.6` and `60%` -> 0.6.
 * @throws RangeError outside (0, 1], InputError with both spellings for a percentage without its sign
 */
export function parseRatio(text: string, option = '--ratio'): number {
  const [, digits, percent] = new RegExp(`^\\s*(-?${number})\\s*(%?)\\s*$`, 'i').exec(text) ?? []
  if (digits === undefined)
    throw invalidParameter(option, 'a number in (0, 1] or a percentage such as 60%', text)
  const value = Number(digits)
  if (percent === '%') {
    if (value > 0 && value <= 100) return share(value)
    throw invalidParameter(option, 'above 0% and at most 100%', text)
  }
  // 1.5 is no percentage that anybody means.
  if (value >= 2 && value <= 100)
    throw new InputError(
      `${option} must be a number in (0, 1], got ${value}; write ${share(value)} or ${value}%`,
    )
  return checkRatio(value, option)
}

/** 55 -> 0.55, without what a division leaves behind the digits */
function share(percent: number): number {
  return Number((percent / 100).toPrecision(12))
}

/**
 * `0.1..1.0` -> 0.1, 0.2 … 1; `0.1..0.5:0.05` in steps of 0.05; `0.3,0.6`, and all of these, comma-separated; each
 * number may be a percentage.
 * @returns without repetitions, ascending
 * @throws InputError for another text, RangeError for a ratio outside (0, 1]
 */
export function parseRatios(text: string, option = '--ratios'): number[] {
  const ratios = text.split(',').flatMap((part) => range(part.trim(), option))
  return [...new Set(ratios)].sort((a, b) => a - b)
}

function range(part: string, option: string): number[] {
  const ratio = `(${number}%?)`
  const [, from, to, by = '0.1'] =
    new RegExp(`^${ratio}(?:\\.\\.${ratio}(?::${ratio})?)?$`, 'i').exec(part) ?? []
  if (from === undefined)
    throw new InputError(`${option} must be such as 0.3,0.6 or 0.1..1.0 or 0.1..1.0:0.05, got '${part}'`)
  const first = parseRatio(from, option)
  const last = parseRatio(to ?? from, option)
  const step = by.endsWith('%') ? share(Number(by.slice(0, -1))) : Number(by)
  const count = Math.floor((last - first) / step + 1e-9) + 1
  if (!(count >= 1 && count <= mostRatios))
    throw new InputError(`${option} must run upwards in at most ${mostRatios} steps, got '${part}'`)
  // 0.1 + 2 * 0.1 is not 0.3: round away what is below the steps
  return Array.from({ length: count }, (_, i) => Number((first + i * step).toFixed(6)))
}
