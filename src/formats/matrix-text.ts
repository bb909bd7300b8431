/** A matrix of scores as text, a row a layer: what DuoAttention's folder, PruLong's masks and RLKV's adapters share. */

import { readFile, stat } from 'node:fs/promises'
import { InputError, invalidParameter } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { isCount, largestSide } from '../scores/verify.js'
import { clip, decidedByNoise, separateTies, type Ties } from './ties.js'

/** Far more than any model's heads take. */
export const mostTextBytes = 64 * 2 ** 20

/** @param hint what the file should be, for the message when it is missing */
export async function readSmallText(path: string, hint: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  if (!found?.isFile()) throw new InputError(`${path} does not exist${hint === '' ? '' : `; ${hint}`}`)
  if (found.size > mostTextBytes)
    throw new InputError(`${path} has ${found.size} bytes; scores have less than ${mostTextBytes}`)
  return await readFile(path, 'utf8')
}

/** @returns rows of equal length, at least one value. @throws InputError: empty, ragged, not numbers */
export function parseMatrix(text: string, where: string): number[][] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  if (lines.length === 0) throw new InputError(`${where} is empty`)
  if (lines.length > largestSide)
    throw new InputError(`${where} has ${lines.length} rows, more than any model has layers`)
  const rows = lines.map((line, row) =>
    line.split('\t').map((field) => {
      const value = field.trim() === '' ? Number.NaN : Number(field)
      if (!Number.isFinite(value))
        throw new InputError(
          `${where} has '${field.slice(0, 40)}' in row ${row + 1} where a number is needed`,
        )
      return value
    }),
  )
  const ragged = rows.findIndex((row) => row.length !== rows[0]!.length)
  if (ragged >= 0)
    throw new InputError(
      `${where} has ${rows[ragged]!.length} columns in row ${ragged + 1}, ${rows[0]!.length} in the first`,
    )
  return rows
}

export interface MatrixText {
  /** a row a layer of the model, tabs, no header */
  text: string
  /** (layers, kv_heads) of the scored layers, as printed */
  values: number[]
  /** what a reader of these values should know */
  warnings: string[]
}

/**
 * @param modelLayers rows to write; layers that are not scored get rows of 1, for readers need every layer
 * @throws RangeError when the model has fewer layers than are scored
 */
export function printMatrix(scores: HeadScores, ties: Ties, modelLayers?: number): MatrixText {
  const fewest = (scores.layerIds.at(-1) ?? -1) + 1
  const rowCount = modelLayers ?? scores.provenance.modelLayers ?? fewest
  if (!isCount(rowCount, fewest, largestSide))
    throw invalidParameter('modelLayers', `at least ${fewest}`, rowCount)
  const unscored = rowCount - scores.layers
  const values =
    ties === 'separate' ? separateTies(scores, unscored > 0 ? 1 - 1e-4 : 1) : Array.from(scores.max, clip)
  const rows = Array.from({ length: rowCount }, () => new Array<number>(scores.kvHeads).fill(1))
  for (const [row, layer] of scores.layerIds.entries())
    rows[layer] = values.slice(row * scores.kvHeads, (row + 1) * scores.kvHeads)
  const print = ties === 'separate' ? (value: number) => value.toFixed(7) : (value: number) => String(value)
  const text = rows.map((row) => `${row.map(print).join('\t')}\n`).join('')
  return { text, values, warnings: warningsOf(scores, values, rowCount) }
}

function warningsOf(scores: HeadScores, values: number[], modelLayers: number): string[] {
  const warnings: string[] = []
  const close = decidedByNoise(values)
  if (close > 0)
    warnings.push(
      `${close} neighbours in the ranking are closer than the noise that readers add: chance decides them`,
    )
  if (modelLayers > scores.layers)
    warnings.push(
      `${modelLayers - scores.layers} of ${modelLayers} layers are not scored; their rows are 1, and readers count ` +
        'them when they turn a sparsity into a threshold',
    )
  if (modelLayers === 1 || scores.kvHeads === 1)
    warnings.push('one row or one column: numpy.loadtxt gives readers one dimension unless they ask for two')
  return warnings
}
