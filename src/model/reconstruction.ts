/** The inputs that make a model repeat its own context, chunk by chunk (KVzip, arXiv 2505.23416, section 3.2). */

import { check, checkEach, checkFields } from '../check.js'
import { InputError, invalidParameter } from '../errors.js'
import type { Prompts } from './prompts.js'

export const defaultChunkSize = 2000

/** Tokens of the previous chunk that tell the model where to go on. */
const tailTokens = 8

/** One chunk of the context and the input that asks for it. */
export interface ReconstructionInput {
  /** Positions [start, end) of the context, the system prefix not counted. */
  start: number
  end: number
  /** Prompt, tail of the previous chunk, postfix, then the chunk itself. */
  ids: Int32Array
}

/** @throws TypeError or RangeError that names the field */
export function checkChunks(value: unknown, name: string): void {
  checkEach(
    value,
    name,
    (chunk, at) => checkFields(chunk, at, { start: 'integer', end: 'integer', ids: 'ids' }),
    0,
  )
}

/**
 * @param contextIds without the system prefix
 * @throws InputError for an empty context, RangeError for a chunk size that is no positive integer
 */
export function reconstructionInputs(
  contextIds: Int32Array,
  options: { chunkSize?: number; prompts: Pick<Prompts, 'repeatWholeIds' | 'repeatPartIds' | 'postfixIds'> },
): ReconstructionInput[] {
  check(contextIds, 'contextIds', 'ids')
  check(options, 'options', 'object')
  const { chunkSize = defaultChunkSize, prompts } = options
  check(prompts, 'prompts', 'object')
  for (const name of ['repeatWholeIds', 'repeatPartIds', 'postfixIds'] as const)
    check(prompts[name], `prompts.${name}`, 'numbers')
  if (contextIds.length === 0) throw new InputError('The context is empty: there is nothing to score.')
  if (!Number.isInteger(chunkSize) || chunkSize < 1)
    throw invalidParameter('chunkSize', 'a positive integer', chunkSize)
  const inputs: ReconstructionInput[] = []
  for (let start = 0; start < contextIds.length; start += chunkSize) {
    const end = Math.min(start + chunkSize, contextIds.length)
    const tail = contextIds.subarray(start - Math.min(tailTokens, start, chunkSize), start)
    const prompt = start === 0 ? prompts.repeatWholeIds : prompts.repeatPartIds
    const ids = Int32Array.from([
      ...prompt,
      ...tail,
      ...prompts.postfixIds,
      ...contextIds.subarray(start, end),
    ])
    inputs.push({ start, end, ids })
  }
  return inputs
}
