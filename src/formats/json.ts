/** Scores as JSON: ours with everything but pairs, a bare (layers, kv_heads) list of lists, or retrieval heads. */

import { basename } from 'node:path'
import { InputError } from '../errors.js'
import { type WriteOptions, writeFileAtomic } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { largestSide, parseProvenance, verifyScores } from '../scores/verify.js'
import { type Exported, foreignProvenance, type ImportOptions } from './foreign.js'
import { readSmallText } from './matrix-text.js'
import { readMetadataFile } from './own-metadata.js'
import { decodeRetrievalJson } from './retrieval-json.js'
import { checkTies, type Ties, tiedValues } from './ties.js'

const formatName = 'headzip-scores'

export async function exportJson(
  scores: HeadScores,
  path: string,
  options: WriteOptions & { ties?: Ties } = {},
): Promise<Exported> {
  verifyScores(scores, 'scores')
  const { layers, kvHeads, layerIds, mean, p99, positions, provenance } = scores
  const table = (values: Float32Array | null): number[][] | null =>
    values &&
    Array.from({ length: layers }, (_, row) =>
      // Nine digits bring every fp32 back as it was.
      Array.from(values.subarray(row * kvHeads, (row + 1) * kvHeads), (value) =>
        Number(value.toPrecision(9)),
      ),
    )
  const max = tiedValues(scores, checkTies(options.ties ?? 'keep'))
  const content = {
    format: formatName,
    provenance,
    positions,
    layer_ids: Array.from(layerIds),
    max: table(max),
    mean: table(mean),
    p99: table(p99),
  }
  await writeFileAtomic(path, `${JSON.stringify(content)}\n`, options)
  return {
    files: [path],
    warnings: scores.pairs ? ['the scores of single pairs are left out: only Arrow holds them'] : [],
    statement: 'This JSON holds everything but the scores of single pairs, which only Arrow can.',
  }
}

export async function importJson(path: string, options: ImportOptions = {}): Promise<HeadScores> {
  const text = await readSmallText(path, '')
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw new InputError(`${path} is not JSON`, { cause: error })
  }
  const name = basename(path).replace(/\.json$/i, '')
  if (Array.isArray(found)) return bareMatrix(found, name, path)
  if (typeof found !== 'object' || found === null) throw new InputError(`${path} holds no scores`)
  const fields: Record<string, unknown> = { ...found }
  if (fields.format === formatName) return ours(fields, path)
  const own = await readMetadataFile(path, text, largestSide)
  return decodeRetrievalJson(fields, name, path, options.kvHeads, own)
}

function ours(fields: Record<string, unknown>, where: string): HeadScores {
  const max = matrix(fields.max, 'max', where)
  const column = (name: 'mean' | 'p99'): Float32Array | null =>
    fields[name] === null || fields[name] === undefined ? null : matrix(fields[name], name, where).values
  const layerIds = numbers(fields.layer_ids, 'layer_ids', where)
  const [positions] = numbers([fields.positions], 'positions', where)
  return verifyScores(
    {
      layers: max.rows,
      kvHeads: max.columns,
      layerIds: Int32Array.from(layerIds),
      max: max.values,
      mean: column('mean'),
      p99: column('p99'),
      positions: positions!,
      pairs: null,
      provenance: parseProvenance(JSON.stringify(fields.provenance ?? null), where),
    },
    where,
  )
}

function bareMatrix(found: unknown[], name: string, where: string): HeadScores {
  const { rows, columns, values } = matrix(found, 'scores', where)
  return verifyScores(
    {
      layers: rows,
      kvHeads: columns,
      layerIds: Int32Array.from({ length: rows }, (_, layer) => layer),
      max: values,
      mean: null,
      p99: null,
      positions: 0,
      pairs: null,
      provenance: foreignProvenance({
        model: name,
        data: 'unknown',
        index: 0,
        method: 'json',
        arithmetic: '',
      }),
    },
    where,
  )
}

function matrix(
  found: unknown,
  name: string,
  where: string,
): { rows: number; columns: number; values: Float32Array } {
  const rows: unknown[] = Array.isArray(found) ? found : []
  if (rows.length === 0 || rows.length > largestSide)
    throw new InputError(`${where} has no list of layers in ${name}`)
  const lists = rows.map((row) => numbers(row, name, where))
  const columns = lists[0]!.length
  if (columns === 0 || lists.some((row) => row.length !== columns))
    throw new InputError(`${where} has layers of different lengths in ${name}`)
  return { rows: rows.length, columns, values: Float32Array.from(lists.flat()) }
}

function numbers(found: unknown, name: string, where: string): number[] {
  const list: unknown[] = Array.isArray(found) ? found : []
  const values = list.filter((each): each is number => typeof each === 'number')
  if (list.length === 0 || values.length !== list.length)
    throw new InputError(`${where} has something else than numbers in ${name}`)
  return values
}
