/** Where results lie: results/<model>/<data>/<index>.arrow, one file a sample, complete at any moment. */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { checkList } from '../check.js'
import { InputError } from '../errors.js'
import { writeFileAtomic } from '../files/write.js'
import { armKey } from './arms.js'
import {
  decodeResult,
  encodeResult,
  type ResultRow,
  type ResultSettings,
  type SampleResult,
} from './record.js'

export function resultPath(out: string, model: string, data: string, index: number): string {
  return join(out, model, data, `${String(index).padStart(5, '0')}.arrow`)
}

/** @returns undefined when nothing is there yet */
export async function readResult(path: string): Promise<SampleResult | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new InputError(`${path} cannot be read: ${error.message}`, { cause: error })
  })
  return bytes && decodeResult(bytes, path)
}

/** Replaces the sample's file at once: a process that dies leaves the old one or the new one. */
export async function writeResult(path: string, result: SampleResult): Promise<void> {
  await writeFileAtomic(path, encodeResult({ ...result, rows: sorted(result.rows) }), { force: true })
}

/** All result files of folders and files, in the order of their paths. @throws InputError when there are none */
export async function readResults(
  paths: readonly string[],
): Promise<{ path: string; result: SampleResult }[]> {
  checkList(paths, 'paths', 'path', 0)
  const files: string[] = []
  for (const path of paths) files.push(...(await resultFiles(path)))
  if (files.length === 0) throw new InputError(`there are no results in ${paths.join(', ')}`)
  const results: { path: string; result: SampleResult }[] = []
  for (const path of files) {
    const result = await readResult(path)
    if (result) results.push({ path, result })
  }
  return results
}

async function resultFiles(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined)
  if (!found) throw new InputError(`${path} does not exist`)
  if (!found.isDirectory()) return [path]
  const names = (await readdir(path, { recursive: true })).sort()
  return names.filter((name) => name.endsWith('.arrow')).map((name) => join(path, name))
}

/**
 * Rows of both, the same arm and question once.
 * @throws InputError when they were made under different settings, or contradict each other
 */
export function mergeResults(
  a: SampleResult,
  b: SampleResult,
  wheres: readonly [string, string],
): SampleResult {
  refuseDifferent(a, b, wheres)
  const rows = new Map(a.rows.map((row) => [rowKey(row), row]))
  for (const row of b.rows) {
    const other = rows.get(rowKey(row))
    if (other && (other.prediction !== row.prediction || other.score !== row.score))
      throw new InputError(
        `${wheres[0]} and ${wheres[1]} answer question ${row.question} of ${row.level} ${row.ratio} differently`,
      )
    rows.set(rowKey(row), row)
  }
  return { ...a, scoreHashes: { ...a.scoreHashes, ...b.scoreHashes }, rows: sorted([...rows.values()]) }
}

export function refuseDifferent(
  a: Pick<SampleResult, 'settings' | 'scoreHashes'>,
  b: Pick<SampleResult, 'settings' | 'scoreHashes'>,
  [first, second]: readonly [string, string],
): void {
  for (const key of Object.keys(a.settings) as (keyof ResultSettings)[])
    if (a.settings[key] !== b.settings[key])
      throw new InputError(
        `${first} was made with another ${settingNames[key]} than ${second}, ` +
          `${shown(a.settings[key])} against ${shown(b.settings[key])}`,
      )
  for (const [label, hash] of Object.entries(b.scoreHashes))
    if (a.scoreHashes[label] !== undefined && a.scoreHashes[label] !== hash)
      throw new InputError(`${first} was made with other head scores of the name ${label} than ${second}`)
}

const settingNames: Record<keyof ResultSettings, string> = {
  modelHash: 'model',
  metric: 'metric',
  template: 'question template',
  generationLength: 'generation length',
  kind: '--kv-type',
  sweep: '--sweep',
  chunkSize: '--chunk-size',
  rule: '--selection',
  sink: '--sink',
  recent: '--recent',
  maxContext: '--max-context',
  questions: 'number of questions',
  sample: 'context or questions',
}

function shown(value: string | number | null): string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
    ? value.slice(0, 12)
    : String(value ?? 'none')
}

function rowKey(row: ResultRow): string {
  return `${armKey(row)} ${row.question}`
}

/** One order, however the rows came about. */
function sorted(rows: readonly ResultRow[]): ResultRow[] {
  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  return rows.toSorted(
    (a, b) =>
      text(a.level, b.level) ||
      text(a.scores, b.scores) ||
      a.ratio - b.ratio ||
      a.draw - b.draw ||
      a.question - b.question,
  )
}
