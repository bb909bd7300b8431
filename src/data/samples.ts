/** Long contexts with questions and answers, in the schema of the preprocessed SCBench. */

import { stat } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError } from '../errors.js'
import { readJsonLines } from './json-lines.js'
import { readParquetRows } from './parquet.js'
import { type Row, stringsForEach, stringsOf } from './rows.js'

export interface Sample {
  /** Name of its data set: a known one, or the file's name without its ending. */
  data: string
  /** Row in the data set, from 0. */
  index: number
  context: string
  queries: string[]
  /** One a query; empty where the data set has no `ground_truth`. */
  answers: string[]
  /** One a query, in data sets of code: the language, the repository, the function asked for. */
  lang?: string[]
  repo?: string[]
  funcNames?: string[]
}

/** Data sets that come with the package, by name. */
const packaged: Readonly<Record<string, string>> = {
  sample_qa_eng: 'models/nano/sample_qa_eng.parquet',
  sample_repoqa: 'models/nano/sample_repoqa.parquet',
}

export const dataSetNames: readonly string[] = Object.keys(packaged)

const columns = ['prompts', 'ground_truth', 'lang', 'repo', 'func_name'] as const

/**
 * All samples of a data set.
 * @param nameOrFile a known name, or a .parquet or .jsonl file with a `prompts` list ([0] context, [1..] questions),
 *   a `ground_truth` list, and for code `lang`, `repo`, `func_name`
 * @throws InputError naming file, column and row
 */
export async function readSamples(nameOrFile: string): Promise<Sample[]> {
  const { data, file, rows } = await readRows(nameOrFile)
  return rows.map((row, index) => toSample(row, data, index, file))
}

/** One sample. @throws InputError as `readSamples` does, and for an index that the data set lacks */
export async function readSample(nameOrFile: string, index: number): Promise<Sample> {
  const { data, file, rows } = await readRows(nameOrFile)
  const row = rows[index]
  if (!row) {
    throw new InputError(
      `${file} has ${rows.length} samples, indices 0 to ${rows.length - 1}; there is no ${index}`,
    )
  }
  return toSample(row, data, index, file)
}

/** The name under which scores and results record a data set. */
export function dataSetName(nameOrFile: string): string {
  return Object.hasOwn(packaged, nameOrFile) ? nameOrFile : basename(nameOrFile, extname(nameOrFile))
}

async function readRows(nameOrFile: string): Promise<{ data: string; file: string; rows: Row[] }> {
  const file = await findFile(nameOrFile)
  const rows = await rowsOf(file)
  if (rows.length === 0) throw new InputError(`${file} has zero rows: there is no sample in it`)
  return { data: dataSetName(nameOrFile), file, rows }
}

async function findFile(nameOrFile: string): Promise<string> {
  const inPackage = Object.hasOwn(packaged, nameOrFile) ? packaged[nameOrFile] : undefined
  // two levels up from src/data as from dist/data
  const file =
    inPackage === undefined ? nameOrFile : fileURLToPath(new URL(`../../${inPackage}`, import.meta.url))
  const found = await stat(file).catch(() => undefined)
  if (!found?.isFile()) {
    if (inPackage !== undefined)
      throw new InputError(`${file} is missing, the data set ${nameOrFile} of this package`)
    const known = `known are ${dataSetNames.join(', ')}; or give a .parquet or .jsonl file`
    throw new InputError(`There is no data set or file ${nameOrFile}: ${known}`)
  }
  if (found.size === 0) throw new InputError(`${file} is empty: it has 0 bytes`)
  return file
}

async function rowsOf(file: string): Promise<Row[]> {
  switch (extname(file)) {
    case '.parquet':
      return readParquetRows(file, columns)
    case '.jsonl':
      return readJsonLines(file)
    default:
      throw new InputError(`${file} must end in .parquet or .jsonl to be read as a data set`)
  }
}

function toSample(row: Row, data: string, index: number, file: string): Sample {
  const where = `${file}, row ${index}`
  if (!('prompts' in row)) throw new InputError(`${where}: there is no column prompts`)
  const [context, ...queries] = stringsOf(row, 'prompts', where)
  if (context === undefined)
    throw new InputError(`${where}: prompts is empty, its first entry must be the context`)
  const each = (column: string): string[] => stringsForEach(row, column, queries.length, where)
  return {
    data,
    index,
    context,
    queries,
    answers: 'ground_truth' in row ? each('ground_truth') : [],
    ...('lang' in row && { lang: each('lang') }),
    ...('repo' in row && { repo: each('repo') }),
    ...('func_name' in row && { funcNames: each('func_name') }),
  }
}
