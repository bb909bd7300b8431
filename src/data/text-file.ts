/** Text out of bytes: UTF-8, UTF-16 with a byte order mark, or an encoding that is named; never a guess. */

import { readFile } from 'node:fs/promises'
import { TextDecoder } from 'node:util'
import { didYouMean } from '../did-you-mean.js'
import { InputError } from '../errors.js'

/** Some of the WHATWG's labels, all of which TextDecoder knows. */
const encodings = [
  ...['utf-8', 'utf-16le', 'utf-16be', 'windows-1250', 'windows-1251', 'windows-1252', 'windows-1253'],
  ...['windows-1254', 'windows-1255', 'windows-1256', 'windows-1257', 'windows-1258', 'windows-874'],
  ...['iso-8859-1', 'iso-8859-2', 'iso-8859-5', 'iso-8859-7', 'iso-8859-15', 'koi8-r', 'koi8-u', 'macintosh'],
  ...['gbk', 'gb18030', 'big5', 'shift_jis', 'euc-jp', 'iso-2022-jp', 'euc-kr', 'latin1', 'ascii'],
]

export interface TextOptions {
  /** A label of TextDecoder's; without one a byte order mark decides, else it is UTF-8. */
  encoding?: string | undefined
  /** What to do about text that is in another encoding. */
  remedy: string
}

/** @param what names the text in messages, `--context notes.txt` @throws InputError as `decodeText` does */
export async function readText(path: string, what: string, options: TextOptions): Promise<string> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw new InputError(`${what} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return decodeText(bytes, what, options)
}

/**
 * A byte order mark is no part of the text.
 * @throws InputError naming the first byte that does not fit, or an encoding that is not known
 */
export function decodeText(bytes: Uint8Array, what: string, { encoding, remedy }: TextOptions): string {
  const label = encoding ?? markOf(bytes) ?? 'utf-8'
  const decoder = decoderFor(label)
  const nul = encoding === undefined && label === 'utf-8' ? bytes.indexOf(0) : -1
  if (nul >= 0)
    throw new InputError(
      `${what} is no text in UTF-8: byte ${nul} is 0, as in UTF-16 without a byte order mark; ${remedy}`,
    )
  try {
    return decoder.decode(bytes)
  } catch (error) {
    if (decoder.encoding !== 'utf-8')
      throw new InputError(`${what} is not ${label} throughout; ${remedy}`, { cause: error })
    const at = firstBadByte(bytes)
    const byte = bytes[at]!.toString(16).toUpperCase().padStart(2, '0')
    throw new InputError(`${what} is not UTF-8: byte ${at} is 0x${byte}; ${remedy}`, { cause: error })
  }
}

function decoderFor(label: string): TextDecoder {
  try {
    return new TextDecoder(label, { fatal: true })
  } catch (error) {
    throw new InputError(
      `--encoding must be a label such as utf-8, windows-1252, utf-16le, shift_jis or gb18030, got '${label}'` +
        didYouMean(label, encodings),
      { cause: error },
    )
  }
}

function markOf(bytes: Uint8Array): string | undefined {
  const [first, second, third] = bytes
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  return first === 0xef && second === 0xbb && third === 0xbf ? 'utf-8' : undefined
}

/** Of bytes that are not UTF-8. TextDecoder does not tell where; what it puts in the place of bad bytes does. */
function firstBadByte(bytes: Uint8Array): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  let at = 0
  let from = 0
  for (;;) {
    const found = text.indexOf('\ufffd', from)
    at += Buffer.byteLength(text.slice(from, found))
    // The text may hold that very character.
    if (bytes[at] !== 0xef || bytes[at + 1] !== 0xbf || bytes[at + 2] !== 0xbd) return at
    at += 3
    from = found + 1
  }
}
