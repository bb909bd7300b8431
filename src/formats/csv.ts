/**
 * Comma-separated rows with a header, a head each, in any order: `layer,kv_head,max[,mean,p99]`, of which the first
 * three are read. Every field is a number, so that neither quoting nor a library for it is needed.
 */

import { basename } from 'node:path'
import { InputError } from '../errors.js'
import type { WriteOptions } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { fromRows } from '../scores/rows.js'
import { largestSide, verifyScores } from '../scores/verify.js'
import { type Exported, foreignProvenance } from './foreign.js'
import { readSmallText } from './matrix-text.js'
import { readMetadataFile, writeWithMetadata } from './own-metadata.js'
import { checkTies, type Ties, tiedValues } from './ties.js'

export async function exportCsv(
  scores: HeadScores,
  path: string,
  options: WriteOptions & { ties?: Ties } = {},
): Promise<Exported> {
  verifyScores(scores, 'scores')
  const { kvHeads, layerIds, mean, p99 } = scores
  const max = tiedValues(scores, checkTies(options.ties ?? 'keep'))
  // Nine digits bring every fp32 back as it was.
  const print = (value: number): string => String(Number(value.toPrecision(9)))
  const header = ['layer', 'kv_head', 'max', ...(mean ? ['mean'] : []), ...(p99 ? ['p99'] : [])]
  const lines = Array.from(max, (value, cell) => {
    const columns = [value, ...(mean ? [mean[cell]!] : []), ...(p99 ? [p99[cell]!] : [])]
    return [layerIds[Math.floor(cell / kvHeads)], cell % kvHeads, ...columns.map(print)].join(',')
  })
  const text = `${[header.join(','), ...lines].join('\n')}\n`
  return {
    files: await writeWithMetadata(path, text, scores, options),
    warnings: [],
    statement:
      'A CSV holds numbers only, not the positions summarised nor the scores of single pairs; the model, the method and ' +
      'the data they come from stand in the .headzip.json beside it, which only headzip reads.',
  }
}

/** @throws InputError: a missing column, a field that is no number, a head twice or missing */
export async function importCsv(path: string): Promise<HeadScores> {
  const text = await readSmallText(path, '')
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const header = (lines[0] ?? '').split(',').map((name) => name.trim().toLowerCase())
  const columnOf = (...names: string[]): number => header.findIndex((name) => names.includes(name))
  const [layerAt, headAt, scoreAt] = [
    columnOf('layer'),
    columnOf('kv_head', 'head'),
    columnOf('max', 'score'),
  ]
  if (layerAt < 0 || headAt < 0 || scoreAt < 0)
    throw new InputError(`${path} has no columns layer, kv_head and max in its first line`)
  if (lines.length - 1 > largestSide)
    throw new InputError(`${path} has ${lines.length - 1} rows, more heads than any model has`)
  const rows = lines.slice(1).map((line, i) => {
    const fields = line.split(',')
    const read = (at: number): number => {
      const text = fields[at]?.trim() ?? ''
      const value = text === '' ? Number.NaN : Number(text)
      if (!Number.isFinite(value))
        throw new InputError(`${path} has '${text.slice(0, 40)}' in line ${i + 2} where a number is needed`)
      return value
    }
    return {
      layer: read(layerAt),
      kvHead: read(headAt),
      max: read(scoreAt),
      mean: null,
      p99: null,
      pairs: null,
    }
  })
  const name = basename(path).replace(/\.csv$/i, '')
  const known = { model: name, data: 'unknown', index: 0, method: 'csv', arithmetic: '' }
  const own = await readMetadataFile(path, text, largestSide)
  return fromRows(rows, 0, own?.provenance ?? foreignProvenance(known), path)
}
