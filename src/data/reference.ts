/** References as data sets write them -> the text that metrics compare with. */

import { InputError } from '../errors.js'

/** A list becomes its items joined by `, `; anything else is written as Python writes it, as published. */
export function joinReference(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(joinReference).join(', ')
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (value === null || value === undefined) return 'None'
  return String(value)
}

/**
 * scbench_many_shot gives a letter: the option's line of the question, the first that holds the letter in brackets.
 * @throws InputError when no line does
 */
export function manyShotReference(letter: string, question: string): string {
  const line = question.split('\n').find((each) => each.includes(`(${letter})`))
  if (line === undefined) throw new InputError(`no line of the question holds the option (${letter})`)
  return line.trim()
}
