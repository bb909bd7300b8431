/** KVzip's published head scores: `<model>-<data>-<idx>.pt`, a (layers, kv_heads) tensor of torch. */

import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { check } from '../check.js'
import { InputError, invalidParameter } from '../errors.js'
import { type WriteOptions, writeFileAtomic } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { largestSide, verifyScores } from '../scores/verify.js'
import { checkExport, type Exported, foreignProvenance } from './foreign.js'
import { metadataOf, type OwnMetadata, parseJson, parseMetadata } from './own-metadata.js'
import { readTorchMatrix, type TorchType, writeTorchMatrix } from './torch-tensor.js'

/** A head score takes kilobytes; anything larger is something else and is not read at all. */
const mostBytes = 16 * 2 ** 20

export interface KvzipOptions extends WriteOptions {
  /** default `float32`, which adds no ties; KVzip itself publishes fp16 and bf16 */
  dtype?: TorchType
}

/** Of the archive: what headzip knows of the scores. torch reads the entries that its pickle names, and no other. */
const metadataName = 'headzip.json'

/**
 * Writes a file that `torch.load(weights_only=True)` reads, on the CPU.
 * @param path ends in `.pt`; `kvzipFileName` gives the name KVzip looks for
 */
export async function exportKvzip(
  scores: HeadScores,
  path: string,
  options: KvzipOptions = {},
): Promise<Exported> {
  checkExport(scores, path, 'path', options)
  const { dtype = 'float32', ...write } = options
  if (!['float16', 'bfloat16', 'float32'].includes(dtype))
    throw invalidParameter('dtype', "'float16', 'bfloat16' or 'float32'", dtype)
  verifyScores(scores, 'scores')
  const archive = basename(path).replace(/\.pt$/, '') || 'archive'
  const matrix = { rows: scores.layers, columns: scores.kvHeads, dtype, values: scores.max }
  const metadata = Buffer.from(`${JSON.stringify(metadataOf(scores))}\n`)
  const bytes = writeTorchMatrix(matrix, archive, [[metadataName, metadata]])
  await writeFileAtomic(path, bytes, write)

  const warnings: string[] = []
  const lost = distinct(scores.max) - distinct(readTorchMatrix(bytes, path).values)
  if (lost > 0)
    warnings.push(`${dtype} makes ${lost} different scores equal; KVzip's rule evicts equal scores together`)
  if (scores.layerIds.at(-1) !== scores.layers - 1)
    warnings.push(
      `only the ${scores.layers} scored layers have a row: ${Array.from(scores.layerIds).join(', ')}`,
    )
  return {
    files: [path],
    warnings,
    statement:
      'A .pt holds the head scores only, not their means; which layers they belong to and where they come from stands ' +
      `beside them as ${metadataName}, which only headzip reads. KVzip merges every file of a folder whose name matches the model.`,
  }
}

/** `<model>-<data>-<idx>.pt`; merged scores name their data sets joined by `+`. */
export function kvzipFileName({ provenance }: HeadScores): string {
  const data = [...new Set(provenance.sources.map((source) => source.data))].join('+')
  const index = [...new Set(provenance.sources.map((source) => source.index))].join('+')
  return `${basename(provenance.model)}-${data}-${index}.pt`.replace(/[^\w.+-]/g, '_')
}

/** Reads a tensor without executing anything. @throws InputError for anything else, one sentence each */
export async function importKvzip(path: string): Promise<HeadScores> {
  check(path, 'path', 'path')
  const found = await stat(path).catch(() => null)
  if (!found?.isFile()) throw new InputError(`${path} does not exist or is not a file`)
  if (found.size > mostBytes)
    throw new InputError(`${path} has ${found.size} bytes; head scores need less than ${mostBytes}`)
  return decodeKvzip(await readFile(path), path)
}

/** @param path gives the model, data set and sample by KVzip's naming, and stands in messages */
export function decodeKvzip(bytes: Uint8Array, path: string): HeadScores {
  const { rows, columns, dtype, values, others } = readTorchMatrix(bytes, path)
  const own = ownMetadata(others.get(metadataName), rows, path)
  const name = basename(path).replace(/\.pt$/, '')
  const [, model = name, data = name, index = '0'] = /^(.+)-([^-]+)-(\d{1,9})$/.exec(name) ?? []
  return verifyScores(
    {
      layers: rows,
      kvHeads: columns,
      layerIds: Int32Array.from(own?.layer_ids ?? Array(rows).keys()),
      max: values,
      mean: null,
      p99: null,
      positions: 0,
      pairs: null,
      provenance:
        own?.provenance ??
        foreignProvenance({ model, data, index: Number(index), method: 'kvzip', arithmetic: dtype }),
    },
    path,
  )
}

function ownMetadata(bytes: Uint8Array | undefined, rows: number, path: string): OwnMetadata | undefined {
  if (!bytes) return undefined
  const where = `${path}, ${metadataName}`
  const own = parseMetadata(parseJson(Buffer.from(bytes).toString('utf8'), where), largestSide, where)
  if (own.layer_ids.length === rows) return own
  throw new InputError(`${where} names ${own.layer_ids.length} scored layers, the tensor has ${rows} rows`)
}

function distinct(values: Float32Array): number {
  return new Set(values).size
}
