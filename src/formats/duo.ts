/**
 * DuoAttention's folder: `full_attention_heads.tsv` (a row a layer, a column a KV head, tabs, no header) and
 * `config.json` (`sink_size`, `recent_size`). Read by DuoAttention, LServe and kvpress; design.md section 5
 * lists what each of them trips over.
 */

import { basename, join, resolve } from 'node:path'
import { check } from '../check.js'
import { InputError, invalidParameter } from '../errors.js'
import { type WriteOptions, writeFilesAtomic } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { isCount, verifyScores } from '../scores/verify.js'
import { checkExport, type Exported, foreignProvenance } from './foreign.js'
import { parseMatrix, printMatrix, readSmallText } from './matrix-text.js'
import { metadataOf, parseMetadata } from './own-metadata.js'
import { checkTies, type Ties } from './ties.js'

export interface DuoOptions extends WriteOptions {
  /** tokens at the start that a streaming head keeps; default 128 */
  sink?: number
  /** latest tokens that a streaming head keeps; default 256 */
  recent?: number
  /**
   * `separate` (default): neighbours of the ranking at least 1e-4 apart, in the order of the exact selection.
   * `keep`: values as they are; readers decide ties by noise.
   */
  ties?: Ties
  /** layers of the model (default: as the scores say, else up to the last scored one); rows of unscored layers are 1 */
  modelLayers?: number
}

export const patternName = 'full_attention_heads.tsv'
const configName = 'config.json'
const folderHint = `a DuoAttention folder holds ${patternName} and ${configName}`

export async function exportDuo(
  scores: HeadScores,
  dir: string,
  options: DuoOptions = {},
): Promise<Exported> {
  checkExport(scores, dir, 'dir', options)
  const { sink = 128, recent = 256 } = options
  const { files, warnings } = await writePattern(scores, dir, options, {})
  return { files, warnings, statement: `${streamingStatement(sink, recent)} ${noThreshold}` }
}

/** The folder with further keys in its config.json, for readers that know DuoAttention's and more. */
export async function writePattern(
  scores: HeadScores,
  dir: string,
  options: DuoOptions,
  more: Record<string, number>,
): Promise<Omit<Exported, 'statement'>> {
  const { sink = 128, recent = 256 } = options
  verifyScores(scores, 'scores')
  const ties = checkTies(options.ties ?? 'separate')
  if (!isCount(sink, 1)) throw invalidParameter('sink', 'a whole number of tokens, at least 1', sink)
  if (!isCount(recent, 1))
    throw invalidParameter(
      'recent',
      'at least 1, for readers take 0 to mean that nothing is masked and evict nothing',
      recent,
    )
  const { text, warnings } = printMatrix(scores, ties, options.modelLayers)
  const own = { ties, ...metadataOf(scores) }
  const sizes = { sink_size: sink, recent_size: recent, ...more }
  // Other readers take the sizes and ignore the rest.
  const config = `${JSON.stringify({ ...sizes, headzip: own }, null, 2)}\n`
  const files = [join(dir, patternName), join(dir, configName)]
  await writeFilesAtomic(
    [
      [files[0]!, text],
      [files[1]!, config],
    ],
    options,
  )
  return { files, warnings }
}

export function streamingStatement(sink: number, recent: number): string {
  return (
    'This format cannot say that a head evicts its whole context and keeps only the sink and the query, which is ' +
    `what KVzip does: streaming heads keep ${sink} sink and ${recent} recent tokens.`
  )
}

export const noThreshold =
  'It holds no threshold: the reader chooses a sparsity, the share of heads made streaming.'

/**
 * @param dir official patterns too: values are taken as they stand, small negatives included
 * @throws InputError naming the file: missing, ragged, not numbers
 */
export async function importDuo(dir: string): Promise<HeadScores> {
  check(dir, 'dir', 'path')
  const tsv = join(dir, patternName)
  const config = await readConfig(join(dir, configName))
  const rows = parseMatrix(await readSmallText(tsv, folderHint), tsv)
  const kvHeads = rows[0]!.length
  const own =
    config.headzip === undefined ? null : parseMetadata(config.headzip, rows.length, join(dir, configName))
  const layerIds = Int32Array.from(own?.layer_ids ?? rows.keys())
  const data = typeof config.dataset_format === 'string' ? config.dataset_format : 'unknown'
  return verifyScores(
    {
      layers: layerIds.length,
      kvHeads,
      layerIds,
      max: Float32Array.from(Array.from(layerIds).flatMap((layer) => rows[layer]!)),
      mean: null,
      p99: null,
      positions: 0,
      pairs: null,
      provenance:
        own?.provenance ??
        foreignProvenance({ model: basename(resolve(dir)), data, index: 0, method: 'duo', arithmetic: '' }),
    },
    tsv,
  )
}

async function readConfig(path: string): Promise<Record<string, unknown>> {
  let found: unknown
  const text = await readSmallText(path, folderHint)
  try {
    found = JSON.parse(text)
  } catch {
    throw new InputError(`${path} is not JSON`)
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw new InputError(`${path} is not a JSON object`)
  return { ...found }
}
