/** How long a tokenizer may work and how much memory it may take: its patterns and templates come with the model. */

import { check } from '../../check.js'
import { InputError, invalidParameter } from '../../errors.js'

export interface TokenizerLimits {
  /** For each MiB of text that is begun; HEADZIP_TOKENIZER_SECONDS, or 20, when left out. */
  seconds?: number | undefined
  /** Of JavaScript's heap; HEADZIP_TOKENIZER_MEMORY (MiB), or 2048, when left out. */
  memoryMiB?: number | undefined
}

export type CheckedLimits = { [K in keyof TokenizerLimits]-?: NonNullable<TokenizerLimits[K]> }

/** @throws RangeError for a limit that is no positive number, InputError for one in the environment */
export function checkLimits(limits: TokenizerLimits = {}): CheckedLimits {
  check(limits, 'tokenizer', 'object')
  const { seconds, memoryMiB } = limits
  return {
    seconds: checked(seconds, 'tokenizer.seconds', 'HEADZIP_TOKENIZER_SECONDS', 20),
    memoryMiB: checked(memoryMiB, 'tokenizer.memoryMiB', 'HEADZIP_TOKENIZER_MEMORY', 2048),
  }
}

function checked(given: number | undefined, name: string, variable: string, usual: number): number {
  const expected = 'a positive number'
  if (given !== undefined) {
    check(given, name, 'number', expected)
    if (!isLimit(given)) throw invalidParameter(name, expected, given)
    return given
  }
  const text = process.env[variable] ?? ''
  if (text === '') return usual
  if (isLimit(Number(text))) return Number(text)
  throw new InputError(`${variable} must be ${expected}, got '${text.slice(0, 40)}'`)
}

/** Timers and V8's flags take whole numbers of 31 bits. */
function isLimit(value: number): boolean {
  return value > 0 && value <= 1_000_000
}

/** End the sentences on what was too long or too large. */
export const raisesTime = 'HEADZIP_TOKENIZER_SECONDS raises the limit'
export const raisesMemory = 'HEADZIP_TOKENIZER_MEMORY raises the limit'

/** @param characters of the text at hand */
export function secondsFor(seconds: number, characters: number): number {
  return seconds * Math.max(1, Math.ceil(characters / 2 ** 20))
}

/** tokenizer.json of 256K tokens has 33 MB and is read within two seconds. */
export function secondsToLoad(seconds: number): number {
  return 3 * seconds
}
