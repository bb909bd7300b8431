/** Scores in whatever format a path holds, told by content, not by name. */

import { open, readdir, stat } from 'node:fs/promises'
import { check, checkOptions } from '../check.js'
import { InputError } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { patternName } from './duo.js'
import { applyImportOptions, type ImportOptions } from './foreign.js'
import { formats } from './formats.js'
import { patternsFolder } from './kvpress.js'
import { adapterName } from './tsv.js'

/** Those that have a reader of their own. */
export type ScoreFormat = 'arrow' | 'kvzip' | 'duo' | 'kvpress' | 'tsv' | 'json' | 'csv'

/** @throws InputError when `path` is missing, in no known format, or unsound in the one it is in */
export async function readAnyScores(path: string): Promise<HeadScores> {
  return await importScores(path)
}

/** `readAnyScores` with what the file may not tell; it overrides what the file does tell. */
export async function importScores(path: string, options: ImportOptions = {}): Promise<HeadScores> {
  checkOptions(options, {
    model: 'string?',
    data: 'string?',
    index: 'count?',
    kvHeads: 'positive?',
    layerIds: 'ids?',
  })
  const read: (path: string, options: ImportOptions) => Promise<HeadScores> =
    formats[await detectFormat(path)].read
  return applyImportOptions(await read(path, options), options, path)
}

export async function detectFormat(path: string): Promise<ScoreFormat> {
  check(path, 'path', 'path')
  const found = await stat(path).catch(() => null)
  if (!found) throw new InputError(`${path} does not exist`)
  if (found.isDirectory()) return await detectFolder(path)
  if (!found.isFile()) throw new InputError(`${path} is neither a file nor a folder`)
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

async function detectFolder(path: string): Promise<ScoreFormat> {
  const names = await readdir(path)
  if (names.includes(patternName)) return 'duo'
  if (names.includes(adapterName)) return 'tsv'
  if (names.includes(patternsFolder)) return 'kvpress'
  throw new InputError(`${path} holds no ${patternName}; name a score file in it`)
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
