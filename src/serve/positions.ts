/** Whether messages fit the model, and what is left for their answer. */

import type { Model } from '../inference/model.js'
import { helpsOf } from '../model/too-long.js'
import type { ContextText } from './contexts.js'
import { ApiError } from './errors.js'

const fewer = 'fewer or shorter messages fit'

/**
 * @param promptTokens of context and questions
 * @returns positions left for an answer, at least 1
 * @throws ApiError that says what would fit, where none is left or the context cannot be read
 */
export function positionsLeft(
  model: Model,
  { tokens, positions }: ContextText,
  promptTokens: number,
): number {
  const { reach } = model.description
  const messages = `the messages have ${promptTokens} tokens`
  if (promptTokens >= reach) throw tooLong(model, messages, `${reach} positions`, [fewer])
  if (positions > reach)
    throw tooLong(model, `the context and its repetition have ${positions} tokens`, `${reach} positions`, [
      'a shorter context fits',
      'a server with --level head repeats none',
    ])
  const most = model.positionsFor(positions)
  if (promptTokens >= most)
    throw tooLong(model, messages, `${most} positions behind a context of ${tokens}`, [
      fewer,
      `a long text before the question is part of the context and reaches ${reach}`,
    ])
  return most - promptTokens
}

function tooLong({ description }: Model, what: string, has: string, others: readonly string[]): ApiError {
  const message = `${what}, but ${description.id} has ${has}${helpsOf(description, others)}`
  return new ApiError(400, message, { code: 'context_length_exceeded', param: 'messages' })
}
