/**
 * The result file of one sample: Arrow IPC, a row an answer. This file defines the schema and its version.
 *
 *     level: utf8  scores: utf8  ratio: float64  draw: int32  question: int32  prediction: utf8  score: float64
 *     kept_bytes: float64  full_bytes: float64
 *
 * Metadata of the schema: `headzip.result_version` and `headzip.result` (JSON, see ResultHeader).
 */

import {
  Table as ArrowTable,
  Float64,
  Int32,
  type Table,
  tableFromIPC,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow'
import type { NeedlePosition } from '../data/sample.js'
import { InputError } from '../errors.js'
import { checkArrowContainer } from '../scores/arrow-container.js'
import type { EvaluationLevel } from './arms.js'
import type { References } from './judge.js'
import type { MetricName } from './metrics/index.js'

export const resultVersion = 1
const versionKey = 'headzip.result_version'
const headerKey = 'headzip.result'

/** Settings that change answers: files of one sample go on only under the same. */
export interface ResultSettings {
  modelHash: string
  metric: MetricName
  template: string
  /** New tokens, or `by reference`. */
  generationLength: number | 'by reference'
  kind: 'evict' | 'retain'
  sweep: string
  chunkSize: number
  rule: string
  /** Of streaming heads. */
  sink: number
  recent: number
  /** null: nothing was cut */
  maxContext: number | null
  /** Questions asked, from the first. */
  questions: number
  /** sha256 of context, questions and references */
  sample: string
}

export interface ResultHeader {
  model: string
  data: string
  index: number
  /** Context tokens. */
  tokens: number
  settings: ResultSettings
  references: References
  needle?: NeedlePosition
  /** Of the head scores by label. */
  scoreHashes: Record<string, string>
  arithmetic: string
  engineVersion: string
}

/** One answer. */
export interface ResultRow {
  level: EvaluationLevel | 'full'
  /** Label of the head scores; '' where none chose. */
  scores: string
  ratio: number
  draw: number
  question: number
  prediction: string
  /** 0..1 by the data set's metric; an empty prediction scores 0 */
  score: number
  /** Bytes of KV held after the prefill, and of the full cache. */
  keptBytes: number
  fullBytes: number
}

export interface SampleResult extends ResultHeader {
  rows: ResultRow[]
}

export function encodeResult({ rows, ...header }: SampleResult): Uint8Array {
  const text = (of: (row: ResultRow) => string): Vector => vectorFromArray(rows.map(of), new Utf8())
  const float = (of: (row: ResultRow) => number): Vector => vectorFromArray(rows.map(of), new Float64())
  const int = (of: (row: ResultRow) => number): Vector => vectorFromArray(rows.map(of), new Int32())
  const table = new ArrowTable({
    level: text((row) => row.level),
    scores: text((row) => row.scores),
    ratio: float((row) => row.ratio),
    draw: int((row) => row.draw),
    question: int((row) => row.question),
    prediction: text((row) => row.prediction),
    score: float((row) => row.score),
    kept_bytes: float((row) => row.keptBytes),
    full_bytes: float((row) => row.fullBytes),
  })
  table.schema.metadata.set(versionKey, String(resultVersion))
  table.schema.metadata.set(headerKey, JSON.stringify(header))
  return tableToIPC(table, 'file')
}

/** @param where names the bytes in messages. @throws InputError, whatever is wrong with them */
export function decodeResult(bytes: Uint8Array, where: string): SampleResult {
  const edge = (at: number): string => Buffer.from(bytes.subarray(at, at + 6)).toString('latin1')
  if (bytes.length < 20 || edge(0) !== 'ARROW1' || edge(bytes.length - 6) !== 'ARROW1')
    throw new InputError(`${where} is not a whole Arrow file`)
  checkArrowContainer(bytes, where)
  try {
    return decodeTable(tableFromIPC(bytes), bytes.length, where)
  } catch (error) {
    if (error instanceof InputError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new InputError(`${where} is a damaged Arrow file (${why})`, { cause: error })
  }
}

function decodeTable(table: Table, bytes: number, where: string): SampleResult {
  const { metadata } = table.schema
  const version = Number(metadata.get(versionKey) ?? Number.NaN)
  if (!(version >= 1)) throw new InputError(`${where} is not a result file: its metadata lacks ${versionKey}`)
  if (version > resultVersion)
    throw new InputError(`${where} has result schema ${version}, this headzip reads up to ${resultVersion}`)
  const header = JSON.parse(metadata.get(headerKey) ?? 'null') as ResultHeader | null
  if (header === null) throw new InputError(`${where} lacks ${headerKey} in its metadata`)
  const cells = (name: string): ((row: number) => unknown) => {
    const vector = table.getChild(name)
    if (!vector) throw new InputError(`${where} lacks the column ${name}`)
    return (row) => vector.get(row) as unknown
  }
  let characters = 0
  const text = (name: string): ((row: number) => string) => {
    const read = typed<string>(cells(name), 'string', name, where)
    return (row) => {
      const found = read(row)
      characters += found.length
      // Texts that overlap would let a small file ask for any amount of memory.
      if (characters > bytes)
        throw new InputError(`${where} claims more than ${bytes} characters in ${bytes} bytes`)
      return found
    }
  }
  const number = (name: string): ((row: number) => number) => typed(cells(name), 'number', name, where)
  const columns = {
    level: text('level'),
    scores: text('scores'),
    ratio: number('ratio'),
    draw: number('draw'),
    question: number('question'),
    prediction: text('prediction'),
    score: number('score'),
    kept: number('kept_bytes'),
    full: number('full_bytes'),
  }
  const rows = Array.from(
    { length: table.numRows },
    (_, i): ResultRow => ({
      level: columns.level(i) as ResultRow['level'],
      scores: columns.scores(i),
      ratio: columns.ratio(i),
      draw: columns.draw(i),
      question: columns.question(i),
      prediction: columns.prediction(i),
      score: columns.score(i),
      keptBytes: columns.kept(i),
      fullBytes: columns.full(i),
    }),
  )
  return { ...header, rows }
}

function typed<T extends string | number>(
  cell: (row: number) => unknown,
  type: 'string' | 'number',
  name: string,
  where: string,
): (row: number) => T {
  return (row) => {
    const value = cell(row)
    if (typeof value === type) return value as T
    throw new InputError(`${where}, row ${row}: ${name} must be a ${type}`)
  }
}
