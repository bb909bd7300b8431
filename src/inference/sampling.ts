/** How the next token is chosen. The drawing itself is native, in double precision: native/decode/sampler.h. */

import { randomInt } from 'node:crypto'
import { invalidParameter } from '../errors.js'

export interface SamplingOptions {
  /** 0 (default): always the best token. Otherwise logits are divided by it before the softmax. */
  temperature?: number | undefined
  /** Draw from the k best tokens only; 0 (default): from all. */
  topK?: number | undefined
  /** Draw from the fewest best tokens that hold this share of the probability, in (0, 1]; default 1. */
  topP?: number | undefined
  /**
   * From 0 to 2^53 - 1. The same seed draws the same tokens from the same logits. Left out, one is chosen and told in
   * the result.
   */
  seed?: number | undefined
}

export type Sampling = { [K in keyof SamplingOptions]-?: number }

/** The generator takes any 53 bits; randomInt gives at most 48 at once. */
const seeds = 2 ** 47

/** @throws TypeError or RangeError that names the option */
export function checkSampling(options: SamplingOptions): Sampling {
  const { temperature = 0, topK = 0, topP = 1 } = options
  check('temperature', temperature, 'a number of at least 0', temperature >= 0 && temperature < Infinity)
  check('topK', topK, 'a whole number of at least 0', Number.isSafeInteger(topK) && topK >= 0)
  check('topP', topP, 'a number in (0, 1]', topP > 0 && topP <= 1)
  const seed = options.seed ?? (temperature > 0 ? randomInt(seeds) : 0)
  check('seed', seed, 'a whole number of at least 0', Number.isSafeInteger(seed) && seed >= 0)
  return { temperature, topK, topP, seed }
}

function check(name: string, value: unknown, expected: string, fits: boolean): void {
  if (typeof value !== 'number') throw invalidParameter(name, expected, value, 'type')
  if (!fits) throw invalidParameter(name, expected, value)
}
