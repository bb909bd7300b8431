/** How commands that read a context and evict of it fit it into a model. */

import { buffer } from 'node:stream/consumers'
import type { Options } from 'yargs'
import { decodeText, readText } from '../data/text-file.js'
import { InputError } from '../errors.js'
import { isPairLevel, type Level } from '../inference/levels.js'
import type { PrefillOptions } from '../inference/prefill.js'

export const contextOptions = {
  'max-context': { type: 'number', describe: 'Cut the middle out of a context with more tokens' },
  'chunk-size': {
    type: 'number',
    describe: 'Pair levels: context tokens repeated at a time (default: 2000)',
  },
} as const satisfies Record<string, Options>

export const encodingOption = {
  encoding: {
    type: 'string',
    describe: 'Encoding of the context, as windows-1252 (default: UTF-8, or what a byte order mark says)',
  },
} as const satisfies Record<string, Options>

const remedy = '--encoding names another, such as windows-1252, utf-16le, shift_jis or gb18030'

/** @param path `-` for standard input. @throws InputError when it cannot be read, or is not in its encoding */
export async function readContextText(path: string, encoding: string | undefined): Promise<string> {
  const what = path === '-' ? 'the context from standard input' : `--context ${path}`
  if (path !== '-') return readText(path, what, { encoding, remedy })
  return decodeText(await buffer(process.stdin), what, { encoding, remedy })
}

/** @throws InputError for a chunk size where nothing is repeated */
export function contextOptionsIn(args: {
  maxContext: number | undefined
  chunkSize: number | undefined
  level: Level | undefined
  cache?: string | undefined
  encoding?: string | undefined
}): Pick<PrefillOptions, 'maxContext' | 'chunkSize'> {
  const { maxContext, chunkSize, level = 'head', cache, encoding } = args
  if (cache !== undefined && (maxContext ?? chunkSize ?? encoding) !== undefined)
    throw new InputError(
      '--max-context, --chunk-size and --encoding are of a context that is read: give them without --cache',
    )
  if (chunkSize !== undefined && !isPairLevel(level))
    throw new InputError('--chunk-size belongs to the levels pair and pair-uniform')
  return { maxContext, chunkSize }
}
