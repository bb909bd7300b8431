/** Errors that a user can act on. Their message is one complete sentence; the CLI prints it and exits with code 2. */

import { escapeText } from './escape.js'

/** Every error of ours carries a code, so that the CLI can tell a user's mistake from a bug of ours. */
export type ErrorCode = 'HEADZIP_PARAMETER' | 'HEADZIP_INPUT' | 'HEADZIP_ENGINE' | 'HEADZIP_ABORTED'

/** A file, folder or combination of inputs that cannot be used: what is wrong, where, and what would be right. */
export class InputError extends Error {
  readonly code: ErrorCode = 'HEADZIP_INPUT'
  override readonly name = 'InputError'

  /** @param message may quote what files hold: control characters in it are escaped here */
  constructor(message: string, options?: ErrorOptions) {
    super(escapeText(message), options)
  }
}

/**
 * `ratio must be a number in (0, 1], got 1.4`. TypeError when the kind is wrong, RangeError when only the value is.
 * @param name of the parameter as its caller writes it, `--ratio` or `options.ratio`
 * @param expected "a number in (0, 1]"
 */
export function invalidParameter(
  name: string,
  expected: string,
  actual: unknown,
  kind: 'type' | 'range' = 'range',
): Error {
  return parameterError(`${name} must be ${expected}, got ${show(actual)}`, kind)
}

/** For what `invalidParameter` has no words: a sentence of one's own. */
export function parameterError(message: string, kind: 'type' | 'range'): Error {
  const text = escapeText(message)
  const error = kind === 'type' ? new TypeError(text) : new RangeError(text)
  return Object.assign(error, { code: 'HEADZIP_PARAMETER' satisfies ErrorCode })
}

export function isUserError(error: unknown): error is Error & { code: ErrorCode } {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('HEADZIP_')
  )
}

/** @throws RangeError or TypeError unless 0 < ratio <= 1 (NaN fails) */
export function checkRatio(ratio: unknown, name = 'ratio'): number {
  if (typeof ratio !== 'number') throw invalidParameter(name, 'a number in (0, 1]', ratio, 'type')
  if (!(ratio > 0 && ratio <= 1)) throw invalidParameter(name, 'a number in (0, 1]', ratio)
  return ratio
}

/** Text out of a file, as a one-line message may hold it: what files hold may be anything, and of any length. */
export function printable(text: string, most = 120): string {
  return escapeText(text.length > most ? `${text.slice(0, most - 3)}...` : text)
}

/** The same error, with what its message quotes of files escaped: for those that native code throws. */
export function withPrintableMessage(error: unknown): unknown {
  if (error instanceof Error) error.message = escapeText(error.message)
  return error
}

function show(value: unknown): string {
  if (typeof value === 'string') return value.length > 80 ? `'${value.slice(0, 77)}...'` : `'${value}'`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`
}
