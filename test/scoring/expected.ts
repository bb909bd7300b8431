/** What ../fixtures/duo-estimate holds; its README says how that was made. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

interface Expected {
  models: Record<
    string,
    { case: string; layers: number[]; queries: number[]; keys: number[]; scores: number[] }
  >
  nano: { data: string; index: number; tokens: number; scores: number[] }
  heads: {
    name: string
    heads: number
    kvHeads: number
    headDim: number
    length: number
    scale: number
    invFreq: number[]
    queries: number[]
    keys: number[]
    scores: number[]
  }[]
}

const file = fileURLToPath(new URL('../fixtures/duo-estimate/expected.json', import.meta.url))
export const expected = JSON.parse(readFileSync(file, 'utf8')) as Expected

/** NaN, which no bound admits, where a value is missing. */
export function largestDifference(found: ArrayLike<number>, wanted: readonly number[]): number {
  if (found.length !== wanted.length) return Number.NaN
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(found[i]! - value)), 0)
}
