/**
 * Walks the members of a JSON object one at a time. JSON.parse would build a hostile header whole, at up to forty times
 * its size, and merge keys that stand there twice.
 */

import { printable } from '../errors.js'

/** The text is not JSON; the message says where. */
export class JsonError extends Error {}

export interface JsonMember {
  key: string
  /** Not yet parsed, and not checked but for its brackets and quotes. */
  value: Buffer
}

/** Code of an ASCII character. */
const code = (char: string): number => char.charCodeAt(0)
const quote = code('"')
const backslash = code('\\')
const comma = code(',')
const opening = [code('{'), code('[')]
const closing = [code('}'), code(']')]

/** @throws JsonError, also in the middle: members that came before were there */
export function* jsonMembers(json: Buffer): Generator<JsonMember> {
  let at = expect(json, skipSpace(json, 0), '{')
  at = skipSpace(json, at)
  if (json[at] === code('}')) at++
  else {
    for (let more = true; more; ) {
      const keyStart = skipSpace(json, at)
      if (json[keyStart] !== quote) throw unexpected(json, keyStart)
      const keyEnd = endOfString(json, keyStart)
      const start = skipSpace(json, expect(json, skipSpace(json, keyEnd), ':'))
      const end = endOfValue(json, start)
      yield { key: parseJson(json.subarray(keyStart, keyEnd)) as string, value: json.subarray(start, end) }
      at = skipSpace(json, end)
      more = json[at] === comma
      at = more ? at + 1 : expect(json, at, '}')
    }
  }
  at = skipSpace(json, at)
  if (at < json.length) throw unexpected(json, at)
}

/** @throws JsonError */
export function parseJson(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'))
  } catch (error) {
    throw new JsonError(printable((error as Error).message, 200), { cause: error })
  }
}

function skipSpace(json: Buffer, start: number): number {
  let at = start
  for (let byte = json[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = json[at])
    at++
  return at
}

function expect(json: Buffer, at: number, char: string): number {
  if (json[at] !== code(char)) throw unexpected(json, at)
  return at + 1
}

function unexpected(json: Buffer, at: number): JsonError {
  if (at >= json.length) return new JsonError('it ends too early')
  return new JsonError(`unexpected ${JSON.stringify(String.fromCharCode(json[at] ?? 0))} at byte ${at}`)
}

/** Index after the closing quote of the string that opens at `start`. */
function endOfString(json: Buffer, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    if (json[at] === quote) return at + 1
    if (json[at] === backslash) at++
  }
  throw unexpected(json, json.length)
}

/** Index after the value that starts at `start`. */
function endOfValue(json: Buffer, start: number): number {
  let depth = 0
  for (let at = start; at < json.length; ) {
    const byte = json[at] ?? 0
    if (byte === quote) at = endOfString(json, at)
    else if (depth === 0 && (byte === comma || closing.includes(byte))) return at
    else {
      if (opening.includes(byte)) depth++
      else if (closing.includes(byte)) depth--
      at++
    }
  }
  throw unexpected(json, json.length)
}
