/**
 * DuoAttention's folder: `full_attention_heads.tsv` (a row a layer, a column a KV head, tabs, no header) and
 * `config.json` (`sink_size`, `recent_size`). Read by DuoAttention, LServe and kvpress; design.md section 5
 * lists what each of them trips over.
 */

import { readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { InputError, invalidParameter } from '../errors.js'
import { type WriteOptions, writeFilesAtomic } from '../scores/files.js'
import type { HeadScores, Provenance } from '../scores/head-scores.js'
import { isCount, largestSide, parseProvenance, verifyScores } from '../scores/verify.js'
import { type Exported, foreignProvenance } from './foreign.js'
import { clip, decidedByNoise, separateTies, type Ties } from './ties.js'

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

const tsvName = 'full_attention_heads.tsv'
const configName = 'config.json'
const mostBytes = 64 * 2 ** 20

export async function exportDuo(
  scores: HeadScores,
  dir: string,
  options: DuoOptions = {},
): Promise<Exported> {
  const { sink = 128, recent = 256, ties = 'separate' } = options
  const modelLayers =
    options.modelLayers ?? scores.provenance.modelLayers ?? (scores.layerIds.at(-1) ?? -1) + 1
  verifyScores(scores, 'scores')
  if (!isCount(sink, 1)) throw invalidParameter('sink', 'a whole number of tokens, at least 1', sink)
  if (!isCount(recent, 1))
    throw invalidParameter(
      'recent',
      'at least 1, for readers take 0 to mean that nothing is masked and evict nothing',
      recent,
    )
  if (ties !== 'separate' && ties !== 'keep') throw invalidParameter('ties', "'separate' or 'keep'", ties)
  if (!isCount(modelLayers, (scores.layerIds.at(-1) ?? 0) + 1, largestSide))
    throw invalidParameter('modelLayers', `at least ${scores.layerIds.at(-1)! + 1}`, modelLayers)

  const hybrid = modelLayers > scores.layers
  const values =
    ties === 'separate' ? separateTies(scores, hybrid ? 1 - 1e-4 : 1) : Array.from(scores.max, clip)
  const rows = Array.from({ length: modelLayers }, () => new Array<number>(scores.kvHeads).fill(1))
  for (const [row, layer] of scores.layerIds.entries())
    rows[layer] = values.slice(row * scores.kvHeads, (row + 1) * scores.kvHeads)
  const print = ties === 'separate' ? (value: number) => value.toFixed(7) : (value: number) => String(value)
  const tsv = rows.map((row) => `${row.map(print).join('\t')}\n`).join('')
  const own: OwnNote = { ties, layer_ids: Array.from(scores.layerIds), provenance: scores.provenance }
  const config = `${JSON.stringify({ sink_size: sink, recent_size: recent, headzip: own }, null, 2)}\n`

  const files = [join(dir, tsvName), join(dir, configName)]
  await writeFilesAtomic(
    [
      [files[0]!, tsv],
      [files[1]!, config],
    ],
    options,
  )
  return { files, warnings: warningsOf(scores, values, modelLayers), statement: statementOf(sink, recent) }
}

/** Ours, under `headzip` of config.json; other readers take the two sizes and ignore the rest. */
interface OwnNote {
  ties: Ties
  layer_ids: number[]
  provenance: Provenance
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

function statementOf(sink: number, recent: number): string {
  return (
    'This format cannot say that a head evicts its whole context and keeps only the sink and the query, which is ' +
    `what KVzip does: streaming heads keep ${sink} sink and ${recent} recent tokens. ` +
    'It holds no threshold: the reader chooses a sparsity, the share of heads made streaming.'
  )
}

/**
 * @param dir official patterns too: values are taken as they stand, small negatives included
 * @throws InputError naming the file: missing, ragged, not numbers
 */
export async function importDuo(dir: string): Promise<HeadScores> {
  const tsv = join(dir, tsvName)
  const config = await readConfig(join(dir, configName))
  const rows = parseTsv(await readText(tsv), tsv)
  const kvHeads = rows[0]!.length
  const own =
    config.headzip === undefined ? null : ownNote(config.headzip, rows.length, join(dir, configName))
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

/** @returns rows of equal length, at least one value */
function parseTsv(text: string, where: string): number[][] {
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

async function readConfig(path: string): Promise<Record<string, unknown>> {
  let found: unknown
  const text = await readText(path)
  try {
    found = JSON.parse(text)
  } catch {
    throw new InputError(`${path} is not JSON`)
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw new InputError(`${path} is not a JSON object`)
  return { ...found }
}

function ownNote(found: unknown, rows: number, where: string): Omit<OwnNote, 'ties'> {
  const note: Record<string, unknown> = typeof found === 'object' && found !== null ? { ...found } : {}
  const ids: unknown[] = Array.isArray(note.layer_ids) ? note.layer_ids : []
  const layerIds = ids.filter((id): id is number => typeof id === 'number' && isCount(id, 0, rows - 1))
  if (layerIds.length === 0 || layerIds.length !== ids.length)
    throw new InputError(`${where} names scored layers that the ${rows} rows beside it do not have`)
  return { layer_ids: layerIds, provenance: parseProvenance(JSON.stringify(note.provenance ?? null), where) }
}

async function readText(path: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  if (!found?.isFile())
    throw new InputError(`${path} does not exist; a DuoAttention folder holds ${tsvName} and ${configName}`)
  if (found.size > mostBytes)
    throw new InputError(`${path} has ${found.size} bytes; a pattern has less than ${mostBytes}`)
  return await readFile(path, 'utf8')
}
