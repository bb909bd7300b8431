import type { Options } from 'yargs'
import type { NeedleOptions } from '../data/needle.js'
import { InputError } from '../errors.js'
import { namesIn } from './options.js'

/** Options of every command that may generate the data set needle. */
export const needleOptions = {
  'needle-lengths': { type: 'string', describe: 'Context tokens, comma-separated (default: 500,2000,8000)' },
  'needle-depths': { type: 'string', describe: 'Depths of the needle in percent (default: 0,10 … 100)' },
  haystack: { type: 'string', describe: 'Folder of .txt files (default: three public-domain books)' },
  'needle-text': {
    type: 'string',
    describe: 'The sentence that is hidden, with --needle-question and --needle-answer',
  },
  'needle-question': { type: 'string', describe: 'What is asked about it' },
  'needle-answer': { type: 'string', describe: 'What an answer must hold' },
} as const satisfies Record<string, Options>

export function needleOptionsIn(args: {
  needleLengths: string | undefined
  needleDepths: string | undefined
  haystack: string | undefined
  needleText: string | undefined
  needleQuestion: string | undefined
  needleAnswer: string | undefined
}): NeedleOptions {
  const { needleLengths, needleDepths, haystack, needleText, needleQuestion, needleAnswer } = args
  if (needleText !== undefined && (needleQuestion === undefined || needleAnswer === undefined))
    throw new InputError('--needle-text needs --needle-question and --needle-answer, too')
  return {
    lengths: needleLengths === undefined ? undefined : numbersIn(needleLengths, '--needle-lengths'),
    depths: needleDepths === undefined ? undefined : numbersIn(needleDepths, '--needle-depths'),
    haystack,
    needle: needleText === undefined ? undefined : `\n${needleText}\n`,
    question: needleQuestion,
    answer: needleAnswer,
  }
}

function numbersIn(text: string, option: string): number[] {
  const names = namesIn(text, option)
  if (names.every((name) => /^\d+(\.\d+)?$/.test(name))) return names.map(Number)
  throw new InputError(`${option} must be comma-separated numbers, got '${text}'`)
}
