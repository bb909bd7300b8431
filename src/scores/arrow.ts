/**
 * The score file: Arrow IPC, a row a (layer, kv_head). This file defines the schema and its version.
 *
 *     layer: int32  kv_head: int32  max: float32  mean: float32?  p99: float32?  [pairs: list<float32>]
 *
 * `layer` is the layer's index in the model. Metadata of the schema: `headzip.schema_version`,
 * `headzip.positions` (a whole number), `headzip.provenance` (JSON, see Provenance) and `headzip.checksum` (see checksum.ts):
 * it covers all values and the provenance, but not Arrow's layout, so that a file that another tool wrote anew still matches.
 * Files of version 1 and 2 have none and are read without; from version 3 on a file without one is refused, for
 * otherwise a damaged key would turn the check off.
 */

import { readFile, stat } from 'node:fs/promises'
import {
  type Data,
  DataType,
  Field,
  Float32,
  Int32,
  List,
  makeData,
  Precision,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
} from 'apache-arrow'
import { check, checkOptions, writeFields } from '../check.js'
import { InputError } from '../errors.js'
import { pathOf, type WriteOptions, writeFileAtomic } from '../files/write.js'
import { checkArrowContainer } from './arrow-container.js'
import { checkScoreFields } from './check.js'
import { checksumOf } from './checksum.js'
import type { HeadScores } from './head-scores.js'
import { fromRows, type ScoreRow } from './rows.js'
import { parseProvenance, sourceLabel, verifyScores } from './verify.js'

export const schemaVersion = 3
/** The first version that always has a checksum. */
const checkedVersion = 3
/**
 * What a file of each older version lacks, by the version it is read from; all steps up to the newest are taken.
 * Version 2 always tells the layers of the model; of version 1 only late files of hybrid models do.
 */
const migrations: Record<number, (provenance: Record<string, unknown>) => Record<string, unknown>> = {
  1: (provenance) => ({ modelLayers: 0, ...provenance }),
}
const versionKey = 'headzip.schema_version'
const positionsKey = 'headzip.positions'
const provenanceKey = 'headzip.provenance'
const checksumKey = 'headzip.checksum'

/** The largest list<float32> child that 32-bit Arrow offsets address. */
const mostPairs = 2 ** 31 - 1

/** @throws InputError when `path` exists and force is not set, or the scores are not sound */
export async function writeScores(
  path: string,
  scores: HeadScores,
  options: WriteOptions = {},
): Promise<void> {
  check(path, 'path', 'path')
  checkScoreFields(scores)
  checkOptions(options, writeFields)
  await writeFileAtomic(path, encodeScores(scores), options)
}

/**
 * @param file a path, or a file: URL such as `import.meta.resolve('headzip/head_scores/nano/merged.arrow')`
 * @throws InputError with one sentence naming the file, whatever is wrong with it
 */
export async function readScores(file: string | URL): Promise<HeadScores> {
  if (!(file instanceof URL)) check(file, 'path', 'path')
  const path = pathOf(file)
  const found = await stat(path).catch(() => null)
  if (!found) throw new InputError(`${path} does not exist`)
  if (!found.isFile()) throw new InputError(`${path} is not a file; a score file of headzip is needed`)
  return decodeScores(await readFile(path), path)
}

/** The same scores give the same bytes. */
export function encodeScores(scores: HeadScores): Uint8Array {
  verifyScores(scores, `score set ${sourceLabel(scores)}`)
  const { layers, kvHeads, positions } = scores
  const rows = layers * kvHeads
  const layer = Int32Array.from({ length: rows }, (_, row) => scores.layerIds[Math.floor(row / kvHeads)]!)
  const head = Int32Array.from({ length: rows }, (_, row) => row % kvHeads)
  const columns: [Field, Data][] = [
    [new Field('layer', new Int32(), false), makeData({ type: new Int32(), length: rows, data: layer })],
    [new Field('kv_head', new Int32(), false), makeData({ type: new Int32(), length: rows, data: head })],
    [new Field('max', new Float32(), false), float32Data(scores.max)],
    [new Field('mean', new Float32(), true), scores.mean ? float32Data(scores.mean) : nullData(rows)],
    [new Field('p99', new Float32(), true), scores.p99 ? float32Data(scores.p99) : nullData(rows)],
  ]
  if (scores.pairs) {
    if (scores.pairs.length > mostPairs)
      throw new InputError(
        `${sourceLabel(scores)} has ${scores.pairs.length} pair scores, more than one file holds`,
      )
    const type = new List(new Field('item', new Float32(), false))
    const valueOffsets = Int32Array.from({ length: rows + 1 }, (_, row) => row * positions)
    const child = float32Data(scores.pairs)
    columns.push([new Field('pairs', type, false), makeData({ type, length: rows, valueOffsets, child })])
  }
  const provenance = JSON.stringify(scores.provenance)
  const metadata = new Map([
    [versionKey, String(schemaVersion)],
    [positionsKey, String(positions)],
    [provenanceKey, provenance],
    [checksumKey, checksumOf(scores, provenance)],
  ])
  const schema = new Schema(
    columns.map(([field]) => field),
    metadata,
  )
  const children = columns.map(([, data]) => data)
  const struct = makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children })
  return tableToIPC(new Table(schema, [new RecordBatch(schema, struct)]), 'file')
}

/** @param where names the bytes in messages, usually their path */
export function decodeScores(bytes: Uint8Array, where: string): HeadScores {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 20 || text.toString('latin1', 0, 6) !== 'ARROW1')
    throw new InputError(`${where} is not an Arrow file`)
  if (text.toString('latin1', bytes.length - 6) !== 'ARROW1')
    throw new InputError(`${where} is cut off: an Arrow file ends with ARROW1`)
  checkArrowContainer(bytes, where)
  try {
    return decodeTable(tableFromIPC(bytes), bytes.length, where)
  } catch (error) {
    if (error instanceof InputError) throw error
    // apache-arrow does not verify what it reads; whatever it trips over is the file's fault.
    const why = error instanceof Error ? error.message : String(error)
    throw new InputError(`${where} is a damaged Arrow file (${why})`, { cause: error })
  }
}

function decodeTable(table: Table, bytes: number, where: string): HeadScores {
  const metadata = table.schema.metadata
  const version = Number(metadata.get(versionKey) ?? Number.NaN)
  if (!Number.isInteger(version) || version < 1)
    throw new InputError(`${where} is not a score file: its metadata lacks ${versionKey}`)
  if (version > schemaVersion)
    throw new InputError(
      `${where} has score schema ${version}, this headzip reads up to ${schemaVersion}; update headzip to read it`,
    )
  const positions = Number(metadata.get(positionsKey) ?? Number.NaN)
  if (!Number.isSafeInteger(positions) || positions < 0)
    throw new InputError(`${where} lacks a whole number ${positionsKey} in its metadata`)
  const provenanceText = metadata.get(provenanceKey) ?? ''
  const provenance = parseProvenance(migrated(provenanceText, version), where)
  const checksum = metadata.get(checksumKey)
  if (checksum === undefined && version >= checkedVersion)
    throw new InputError(`${where} lacks ${checksumKey} in its metadata, which score schema ${version} needs`)
  // Every row takes at least its two indices and its maximum: a longer table lies about its length.
  if (table.numRows * 12 > bytes)
    throw new InputError(`${where} claims ${table.numRows} rows in ${bytes} bytes`)
  // Lists that overlap would let a small file ask for any amount of memory.
  if (table.getChild('pairs') && table.numRows * positions * 4 > bytes)
    throw new InputError(`${where} claims ${table.numRows * positions} pair scores in ${bytes} bytes`)

  const layer = column(table, 'layer', isInt32, 'int32', where)
  const head = column(table, 'kv_head', isInt32, 'int32', where)
  const max = column(table, 'max', isFloat32, 'float32', where)
  const mean = column(table, 'mean', isFloat32, 'float32', where)
  const p99 = column(table, 'p99', isFloat32, 'float32', where)
  const pairs = table.getChild('pairs') ? column(table, 'pairs', isFloat32List, 'list<float32>', where) : null
  const rows: ScoreRow[] = []
  for (let row = 0; row < table.numRows; row++) {
    const list: unknown = pairs ? pairs(row) : null
    rows.push({
      layer: numberAt(layer(row), 'layer', where),
      kvHead: numberAt(head(row), 'kv_head', where),
      max: numberAt(max(row), 'max', where),
      mean: optionalAt(mean(row), 'mean', where),
      p99: optionalAt(p99(row), 'p99', where),
      pairs: pairs ? listAt(list, where) : null,
    })
  }
  const scores = fromRows(rows, positions, provenance, where)
  if (checksum !== undefined && checksum !== checksumOf(scores, provenanceText))
    throw new InputError(
      `${where} is damaged: its scores or their provenance do not match its checksum; copy it again, or score again`,
    )
  return scores
}

/** Provenance as the newest version writes it; what is no JSON object is left to its reader to refuse. */
function migrated(text: string, version: number): string {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    return text
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return text
  let provenance: Record<string, unknown> = { ...found }
  for (let from = version; from < schemaVersion; from++)
    provenance = migrations[from]?.(provenance) ?? provenance
  return JSON.stringify(provenance)
}

type Cell = (row: number) => unknown

function column(
  table: Table,
  name: string,
  fits: (type: DataType) => boolean,
  type: string,
  where: string,
): Cell {
  const vector = table.getChild(name)
  if (!vector) throw new InputError(`${where} lacks the column ${name}`)
  const found: DataType = vector.type
  if (!fits(found))
    throw new InputError(`${where} has column ${name} as ${String(found)}, it must be ${type}`)
  return (row) => vector.get(row) as unknown
}

function isInt32(type: DataType): boolean {
  return DataType.isInt(type) && type.bitWidth === 32 && type.isSigned
}

function isFloat32(type: DataType): boolean {
  return DataType.isFloat(type) && type.precision === Precision.SINGLE
}

function isFloat32List(type: DataType): boolean {
  return DataType.isList(type) && isFloat32(type.valueType)
}

function numberAt(value: unknown, name: string, where: string): number {
  if (typeof value === 'number') return value
  throw new InputError(`${where} has a row without ${name}`)
}

function optionalAt(value: unknown, name: string, where: string): number | null {
  return value === null ? null : numberAt(value, name, where)
}

function listAt(value: unknown, where: string): Float32Array {
  const values: unknown =
    typeof value === 'object' && value !== null && 'toArray' in value && typeof value.toArray === 'function'
      ? value.toArray()
      : null
  if (values instanceof Float32Array) return values
  throw new InputError(`${where} has a row whose pairs are not a list of float32`)
}

function float32Data(values: Float32Array): Data<Float32> {
  return makeData({ type: new Float32(), length: values.length, nullCount: 0, data: values })
}

/** A column of nulls: all validity bits clear. */
function nullData(rows: number): Data<Float32> {
  return makeData({
    type: new Float32(),
    length: rows,
    nullCount: rows,
    nullBitmap: new Uint8Array(Math.ceil(rows / 8)),
    data: new Float32Array(rows),
  })
}
