/**
 * A needle in a haystack: one sentence hidden at a depth of a long text, and a question about it (Greg Kamradt's
 * LLMTest_NeedleInAHaystack; lengths and depths as KVzip evaluates them).
 */

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkFields, checkList } from '../check.js'
import { InputError, invalidParameter } from '../errors.js'
import type { Sample, TextTokenizer } from './sample.js'
import { readText } from './text-file.js'

export interface NeedleOptions {
  /** Context tokens, needle included; 500, 2000, 8000 unless given. */
  lengths?: readonly number[] | undefined
  /** Percent; 0, 10 … 100 unless given. */
  depths?: readonly number[] | undefined
  /** Folder of .txt files, read in the order of their names; three public-domain books unless given. */
  haystack?: string | undefined
  needle?: string | undefined
  question?: string | undefined
  answer?: string | undefined
}

export const publishedLengths: readonly number[] = [500, 2000, 8000]
export const publishedDepths: readonly number[] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
const answer = 'eat a sandwich and sit in Dolores Park on a sunny day'
export const needleTexts = {
  needle: `\nThe best thing to do in San Francisco is ${answer}.\n`,
  question: 'What is the best thing to do in San Francisco?',
  answer: `${answer}.`,
} as const

/** Kinds only: what lengths and depths may be follows from the needle. */
export function checkNeedle(options: NeedleOptions): void {
  checkFields(options, 'needle', { haystack: 'path?', needle: 'text?', question: 'text?', answer: 'text?' })
  if (options.lengths !== undefined) checkList(options.lengths, 'needle.lengths', 'positive')
  if (options.depths !== undefined) checkList(options.depths, 'needle.depths', 'number')
}

/** A sample a length and depth, depths running faster. @throws InputError for a haystack that cannot be read */
export async function needleSamples(
  tokenizer: TextTokenizer,
  options: NeedleOptions = {},
): Promise<Sample[]> {
  const { lengths = publishedLengths, depths = publishedDepths } = options
  const needle = options.needle ?? needleTexts.needle
  const needleIds = Array.from(await tokenizer.encode(needle))
  for (const length of lengths)
    if (!Number.isInteger(length) || length <= needleIds.length)
      throw invalidParameter(
        'needle length',
        `a whole number above the needle's ${needleIds.length} tokens`,
        length,
      )
  for (const depth of depths)
    if (!(depth >= 0 && depth <= 100))
      throw invalidParameter('needle depth', 'a percentage in [0, 100]', depth)
  const haystack = await haystackIds(tokenizer, Math.max(...lengths), options.haystack ?? packagedHaystack())
  const samples: Sample[] = []
  for (const length of lengths)
    for (const depth of depths) {
      const hay = haystack.slice(0, length - needleIds.length)
      const part = Math.floor((hay.length * depth) / 100)
      const at = depth === 100 ? hay.length : await sentenceEnd(tokenizer, hay, part)
      const context = await tokenizer.decode([...hay.slice(0, at), ...needleIds, ...hay.slice(at)])
      samples.push({
        data: 'needle',
        index: samples.length,
        context: context.trim(),
        queries: [options.question ?? needleTexts.question],
        answers: [options.answer ?? needleTexts.answer],
        needle: { depth, length },
      })
    }
  return samples
}

/** The last end of a sentence at or before `at`; 0 where there is none. */
async function sentenceEnd(tokenizer: TextTokenizer, ids: readonly number[], at: number): Promise<number> {
  const together = 32
  for (let end = at; end > 0; end -= together) {
    const from = Math.max(0, end - together)
    const texts = await Promise.all(ids.slice(from, end).map((id) => tokenizer.decode([id])))
    const last = texts.findLastIndex((text) => /[.?!]\s*$/.test(text))
    if (last >= 0) return from + last + 1
  }
  return 0
}

function packagedHaystack(): string {
  // two levels up from src/data as from dist/data
  return fileURLToPath(new URL('../../data/haystack', import.meta.url))
}

/** The folder's texts one after another, again and again until there are enough tokens. */
async function haystackIds(tokenizer: TextTokenizer, count: number, folder: string): Promise<number[]> {
  if ((await stat(folder).catch(() => undefined))?.isDirectory() !== true)
    throw new InputError(`the haystack ${folder} is not a folder`)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort()
  if (names.length === 0) throw new InputError(`the haystack ${folder} holds no .txt file`)
  const ids: number[] = []
  while (ids.length < count) {
    const before = ids.length
    for (const name of names) {
      if (ids.length >= count) break
      const file = join(folder, name)
      const text = await readText(file, file, { remedy: 'iconv -t UTF-8 converts it' })
      for (const id of Array.from(await tokenizer.encode(text))) ids.push(id)
    }
    if (ids.length === before) throw new InputError(`the .txt files of the haystack ${folder} are empty`)
  }
  return ids
}
