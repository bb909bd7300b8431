/** Samples of a data set by name or file, in the schema of the preprocessed SCBench or of the original one. */

import { stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { check, checkFields, checkOptions } from '../check.js'
import { didYouMean } from '../did-you-mean.js'
import { InputError } from '../errors.js'
import { fromGsm, gsmColumns } from './gsm.js'
import { readJsonLines } from './json-lines.js'
import { checkNeedle, type NeedleOptions, needleSamples } from './needle.js'
import { type ParquetOptions, readParquetRows } from './parquet.js'
import { joinReference, manyShotReference } from './reference.js'
import { listForEach, type Row, stringsForEach, stringsOf } from './rows.js'
import type { Sample, TextTokenizer } from './sample.js'
import { fromMultiTurns } from './scbench.js'
import { dataSetName, hubFileOf, knownNames, originOf } from './sets.js'
import { fromSquad, squadColumns } from './squad.js'

/** Brings a file of a data set on the Hugging Face hub onto this machine. @returns its path */
export type FetchDatasetFile = (
  repo: string,
  path: string,
  options: { revision?: string; signal?: AbortSignal },
) => Promise<string>

export interface ReadOptions extends ParquetOptions {
  /** The data sets needle and gsm are measured in a model's tokens. */
  tokenizer?: TextTokenizer | undefined
  needle?: NeedleOptions | undefined
  fetch?: FetchDatasetFile | undefined
  /** Name of a metric that will judge the answers: a sample without references is then refused. */
  metric?: string | undefined
}

const columns = [
  'prompts',
  'ground_truth',
  'lang',
  'repo',
  'func_name',
  'task',
  'context',
  'input',
  'multi_turns',
] as const

/**
 * All samples of a data set.
 * @param nameOrFile a known name, `hub:owner/name/file`, or a .parquet or .jsonl file with a `prompts` list
 *   ([0] context, [1..] questions) and a `ground_truth` list, or with `context` and `multi_turns`; for code also `lang`,
 *   `repo`, `func_name`, for mixed sets `task`
 * @throws InputError naming file, column and row
 */
export async function readSamples(nameOrFile: string, options: ReadOptions = {}): Promise<Sample[]> {
  checkReading(nameOrFile, options)
  if (originOf(nameOrFile)?.kind === 'generated')
    return needleSamples(tokenizerFor(nameOrFile, options), options.needle)
  const { file, rows } = await readRows(nameOrFile, options)
  const data = dataSetName(nameOrFile)
  return rows.map((row, index) => toSample(row, data, index, file, options))
}

/** One sample. @throws InputError as `readSamples` does, and for an index that the data set lacks */
export async function readSample(
  nameOrFile: string,
  index: number,
  options: ReadOptions = {},
): Promise<Sample> {
  checkReading(nameOrFile, options)
  check(index, 'index', 'count')
  const outside = (what: string, count: number): InputError =>
    new InputError(`${what} has ${count} samples, indices 0 to ${count - 1}; there is no ${index}`)
  if (originOf(nameOrFile)?.kind === 'generated') {
    const samples = await readSamples(nameOrFile, options)
    const sample = samples[index]
    if (!sample) throw outside(nameOrFile, samples.length)
    return sample
  }
  const { file, rows } = await readRows(nameOrFile, options)
  const row = rows[index]
  if (!row) throw outside(file, rows.length)
  return toSample(row, dataSetName(nameOrFile), index, file, options)
}

function checkReading(nameOrFile: string, options: ReadOptions): void {
  check(nameOrFile, 'nameOrFile', 'path')
  checkOptions(options, {
    tokenizer: 'object?',
    needle: 'object?',
    fetch: 'function?',
    signal: 'signal?',
    metric: 'string?',
    maxDataBytes: 'bytes?',
  })
  if (options.tokenizer)
    checkFields(options.tokenizer, 'tokenizer', { encode: 'function', decode: 'function' })
  if (options.needle) checkNeedle(options.needle)
}

/** Where the file of a data set lies on this machine, fetched when it comes from the hub. */
export async function dataSetFile(nameOrFile: string, options: ReadOptions = {}): Promise<string> {
  const origin = originOf(nameOrFile)
  const hub = origin?.kind === 'hub' ? origin : hubFileOf(nameOrFile)
  if (hub) {
    if (!options.fetch) throw new InputError(`${nameOrFile} lies on the hub; this call cannot fetch it`)
    return options.fetch(hub.repo, hub.path, { ...(options.signal && { signal: options.signal }) })
  }
  // two levels up from src/data as from dist/data
  return origin?.kind === 'packaged'
    ? fileURLToPath(new URL(`../../${origin.file}`, import.meta.url))
    : nameOrFile
}

async function readRows(nameOrFile: string, options: ReadOptions): Promise<{ file: string; rows: Row[] }> {
  const file = await dataSetFile(nameOrFile, options)
  await checkFile(file, nameOrFile)
  const rows = await rowsOfFile(file, nameOrFile, options)
  if (rows.length === 0) throw new InputError(`${file} has zero rows: there is no sample in it`)
  return { file, rows }
}

async function checkFile(file: string, nameOrFile: string): Promise<void> {
  const found = await stat(file).catch(() => undefined)
  if (!found?.isFile()) {
    if (file !== nameOrFile) throw new InputError(`${file} is missing, the data set ${nameOrFile}`)
    const some = `known are ${knownNames.slice(0, 5).join(', ')} and scbench_* (headzip data list)`
    throw new InputError(
      `There is no data set or file ${nameOrFile}: ${some}; or give a .parquet or .jsonl file` +
        didYouMean(nameOrFile, knownNames),
    )
  }
  if (found.size === 0) throw new InputError(`${file} is empty: it has 0 bytes`)
}

async function rowsOfFile(file: string, nameOrFile: string, options: ReadOptions): Promise<Row[]> {
  const origin = originOf(nameOrFile)
  const layout = origin?.kind === 'hub' ? origin.layout : 'prompts'
  if (layout === 'squad') return fromSquad(await readParquetRows(file, squadColumns, options), file)
  if (layout === 'gsm')
    return fromGsm(await readParquetRows(file, gsmColumns, options), tokenizerFor(nameOrFile, options), file)
  switch (extname(file)) {
    case '.parquet':
      return readParquetRows(file, columns, options)
    case '.jsonl':
      return readJsonLines(file)
    default:
      throw new InputError(`${file} must end in .parquet or .jsonl to be read as a data set`)
  }
}

function tokenizerFor(name: string, { tokenizer }: ReadOptions): TextTokenizer {
  if (tokenizer) return tokenizer
  throw new InputError(`${name} is measured in tokens: name a model whose tokenizer counts them`)
}

function toSample(given: Row, data: string, index: number, file: string, { metric }: ReadOptions): Sample {
  const where = `${file}, row ${index}`
  const row = 'multi_turns' in given ? fromMultiTurns(given, data, where) : given
  if (!('prompts' in row)) throw new InputError(`${where}: there is no column prompts`)
  const [context, ...queries] = stringsOf(row, 'prompts', where)
  if (context === undefined)
    throw new InputError(`${where}: prompts is empty, its first entry must be the context`)
  const each = (column: string): string[] => stringsForEach(row, column, queries.length, where)
  if (metric !== undefined) requireColumns(row, metric, where)
  return {
    data,
    index,
    context,
    queries,
    answers: 'ground_truth' in row ? answersOf(row, data, queries, where) : [],
    ...('lang' in row && { lang: each('lang') }),
    ...('repo' in row && { repo: each('repo') }),
    ...('func_name' in row && { funcNames: each('func_name') }),
    ...('task' in row && { tasks: each('task') }),
  }
}

const neededBy: Readonly<Record<string, readonly string[]>> = {
  repoqa: ['ground_truth', 'lang', 'func_name'],
  repoqa_and_kv: ['ground_truth', 'lang', 'func_name', 'task'],
  by_task: ['ground_truth', 'task'],
}

function requireColumns(row: Row, metric: string, where: string): void {
  for (const column of neededBy[metric] ?? ['ground_truth'])
    if (row[column] === undefined || row[column] === null)
      throw new InputError(
        `${where}: there is no ${column}, which the metric ${metric} compares answers with`,
      )
}

/** One reference a question; a null is refused, since every metric would take the text "None" for it. */
function answersOf(row: Row, data: string, queries: string[], where: string): string[] {
  return listForEach(row, 'ground_truth', queries.length, where).map((value, i) => {
    if (value === null || value === undefined || (typeof value === 'object' && !Array.isArray(value)))
      throw new InputError(
        `${where}: ground_truth ${i} must be a text, a number or a list, it is ${String(value)}`,
      )
    const answer = joinReference(value)
    return data.includes('_many_shot') && /^[A-Z]$/.test(answer)
      ? optionOf(answer, queries[i]!, `${where}, question ${i}`)
      : answer
  })
}

function optionOf(letter: string, question: string, where: string): string {
  try {
    return manyShotReference(letter, question)
  } catch (error) {
    throw new InputError(`${where}: ${(error as Error).message}`, { cause: error })
  }
}
