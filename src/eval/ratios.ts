import { checkRatio, InputError } from '../errors.js'

const mostRatios = 1000

/**
 * `0.1..1.0` -> 0.1, 0.2 … 1; `0.1..0.5:0.05` in steps of 0.05; `0.3,0.6`, and all of these joined by commas.
 * @returns without repetitions, ascending
 * @throws InputError for another text, RangeError for a ratio outside (0, 1]
 */
export function parseRatios(text: string, option = '--ratios'): number[] {
  const ratios = text.split(',').flatMap((part) => range(part.trim(), option))
  return [...new Set(ratios)].sort((a, b) => a - b)
}

function range(part: string, option: string): number[] {
  const number = '(\\d*\\.?\\d+)'
  const [, from, to, step = '0.1'] =
    new RegExp(`^${number}(?:\\.\\.${number}(?::${number})?)?$`).exec(part) ?? []
  if (from === undefined)
    throw new InputError(`${option} must be such as 0.3,0.6 or 0.1..1.0 or 0.1..1.0:0.05, got '${part}'`)
  const first = checkRatio(Number(from), option)
  const last = checkRatio(Number(to ?? from), option)
  const count = Math.floor((last - first) / Number(step) + 1e-9) + 1
  if (!(count >= 1 && count <= mostRatios))
    throw new InputError(`${option} must run upwards in at most ${mostRatios} steps, got '${part}'`)
  // 0.1 + 2 * 0.1 is not 0.3: round away what is below the steps
  return Array.from({ length: count }, (_, i) => Number((first + i * Number(step)).toFixed(6)))
}
