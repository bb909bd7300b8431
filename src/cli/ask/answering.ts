/** Options of how answers are made, for the commands that make some. */

import type { Options } from 'yargs'
import { defaultMaxNewTokens, type GenerateOptions } from '../../inference/generate.js'

export const answerOptions = {
  'max-new-tokens': { type: 'number', default: defaultMaxNewTokens, describe: 'Longest answer' },
  temperature: { type: 'number', default: 0, describe: '0 takes the best token, more draws' },
  'top-p': { type: 'number', default: 1, describe: 'Draw from the best tokens that hold this share' },
  'top-k': { type: 'number', default: 0, describe: 'Draw from so many of the best tokens; 0: all' },
  seed: { type: 'number', describe: 'Draws the same tokens again' },
  stop: { type: 'string', array: true, describe: 'Text that ends an answer; may be given several times' },
} as const satisfies Record<string, Options>

export type Answering = Pick<
  GenerateOptions,
  'maxNewTokens' | 'temperature' | 'topP' | 'topK' | 'seed' | 'stop'
>

export function answeringOf(args: Answering): Answering {
  const { maxNewTokens, temperature, topP, topK, seed, stop } = args
  return { maxNewTokens, temperature, topP, topK, seed, stop }
}
