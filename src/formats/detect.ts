/** Scores in whatever format a path holds, told by content, not by name. */

import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { check, checkOptions } from '../check.js'
import { InputError } from '../errors.js'
import { pathOf } from '../files/write.js'
import { checkScoreFields } from '../scores/check.js'
import type { HeadScores } from '../scores/head-scores.js'
import { patternName } from './duo.js'
import { applyImportOptions, type ImportOptions } from './foreign.js'
import { formatNames, formatOfPath, formats } from './formats.js'
import { patternsFolder } from './kvpress.js'
import { isMetadataFile } from './own-metadata.js'
import { adapterName } from './tsv.js'

/** Those that have a reader of their own. */
export type ScoreFormat = 'arrow' | 'kvzip' | 'duo' | 'kvpress' | 'tsv' | 'json' | 'csv'

/**
 * @param path of a file, or of a folder that is a format or holds one file of scores; also as a file: URL
 * @throws InputError when `path` is missing, in no known format, or unsound in the one it is in
 */
export async function readAnyScores(path: string | URL): Promise<HeadScores> {
  return await importScores(path)
}

/** Scores as they stand, or those that a path or file: URL leads to, in any format. @throws InputError as `readAnyScores` */
export async function readGiven(
  given: HeadScores | string | URL | undefined,
): Promise<HeadScores | undefined> {
  return typeof given === 'string' || given instanceof URL ? readAnyScores(given) : given
}

/** What `readGiven` takes. @throws TypeError or RangeError for anything else */
export function checkGiven(given: unknown, name = 'scores'): void {
  if (typeof given === 'string') check(given, name, 'path')
  else if (!(given instanceof URL)) checkScoreFields(given, name)
}

/** `readAnyScores` with what the file may not tell; it overrides what the file does tell. */
export async function importScores(path: string | URL, options: ImportOptions = {}): Promise<HeadScores> {
  checkOptions(options, {
    model: 'string?',
    data: 'string?',
    index: 'count?',
    kvHeads: 'positive?',
    layerIds: 'ids?',
  })
  const { at, format } = await findScores(path)
  const read: (path: string, options: ImportOptions) => Promise<HeadScores> = formats[format].read
  return applyImportOptions(await read(at, options), options, at)
}

export async function detectFormat(path: string | URL): Promise<ScoreFormat> {
  return (await findScores(path)).format
}

/**
 * @returns `at` is the path, or the file that a folder holds scores in: its merged.arrow, or its only one
 * @throws InputError when there are none, or several
 */
export async function findScores(given: string | URL): Promise<{ at: string; format: ScoreFormat }> {
  if (!(given instanceof URL)) check(given, 'path', 'path')
  const path = pathOf(given)
  const found = await stat(path).catch(() => null)
  if (!found) throw new InputError(`${path} does not exist`)
  if (!found.isDirectory() && !found.isFile()) throw new InputError(`${path} is neither a file nor a folder`)
  if (found.isFile()) return { at: path, format: await detectFile(path) }
  const layout = layoutOf(await readdir(path))
  if (layout) return { at: path, format: layout }
  const inside = await scoreFilesIn(path)
  const merged = join(path, mergedName)
  const [at, ...others] = inside.includes(merged) ? [merged] : inside
  if (at === undefined)
    throw new InputError(
      `${path} holds no scores: neither a file ending in ${endings.join(', ')} nor ${patternName}`,
    )
  if (others.length > 0)
    throw new InputError(
      `${path} holds ${inside.length} score files; name one of them, or headzip merge ${path} makes one of all`,
    )
  return { at, format: await detectFile(at) }
}

/** What scores of one model and method are merged into, in the folder that holds them. */
export const mergedName = 'merged.arrow'

const endings = formatNames.flatMap((name) => ('ending' in formats[name] ? formats[name].ending : []))

/**
 * The scores that lie in a folder, sorted: headzip's own files, or where it has none, the folder itself when a format
 * lays it out, or files of KVzip, or tables.
 */
export async function scoreFilesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).sort()
  const ending = (...wanted: string[]): string[] =>
    names
      .filter((name) => wanted.includes(formatOfPath(name) ?? '') && !isMetadataFile(name))
      .map((name) => join(folder, name))
  const own = ending('arrow')
  if (own.length > 0) return own
  if (layoutOf(names)) return [folder]
  const torch = ending('kvzip')
  if (torch.length > 0) return torch
  // The .json files of a model's folder are no scores.
  return names.includes('config.json') ? ending('csv', 'tsv') : ending('csv', 'tsv', 'json')
}

async function detectFile(path: string): Promise<ScoreFormat> {
  const start = await firstBytes(path)
  if (start.startsWith('ARROW1')) return 'arrow'
  if (start.startsWith('PK')) return 'kvzip'
  const text = start.trimStart()
  if (/^[{[]/.test(text)) return 'json'
  const line = text.split(/\r?\n/, 1)[0]!
  if (/^[a-z_0-9 ]+,/i.test(line) && /(^|,)\s*layer\s*(,|$)/i.test(line)) return 'csv'
  if (line.trim() !== '' && line.split('\t').every((field) => Number.isFinite(Number(field)))) return 'tsv'
  throw new InputError(
    `${path} is in no format that headzip knows: a score file of its own (Arrow), KVzip's .pt, DuoAttention's folder, ` +
      'a table of numbers (.tsv), CSV, JSON',
  )
}

/** Of folders whose files belong together. */
function layoutOf(names: readonly string[]): ScoreFormat | undefined {
  if (names.includes(patternName)) return 'duo'
  if (names.includes(adapterName)) return 'tsv'
  return names.includes(patternsFolder) ? 'kvpress' : undefined
}

/** Enough for the first line of a table of 500 columns. */
async function firstBytes(path: string): Promise<string> {
  const handle = await open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(16_384), 0, 16_384, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
