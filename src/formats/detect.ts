/** Scores in whatever format a path holds, told by content, not by name. */

import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../errors.js'
import { readScores } from '../scores/arrow.js'
import type { HeadScores } from '../scores/head-scores.js'
import { importDuo } from './duo.js'
import { importKvzip } from './kvzip-pt.js'

export type ScoreFormat = 'arrow' | 'kvzip' | 'duo'

const readers: Record<ScoreFormat, (path: string) => Promise<HeadScores>> = {
  arrow: readScores,
  kvzip: importKvzip,
  duo: importDuo,
}

/** @throws InputError when `path` is missing, in no known format, or unsound in the one it is in */
export async function readAnyScores(path: string): Promise<HeadScores> {
  return await readers[await detectFormat(path)](path)
}

export async function detectFormat(path: string): Promise<ScoreFormat> {
  const found = await stat(path).catch(() => null)
  if (!found) throw new InputError(`${path} does not exist`)
  if (found.isDirectory()) {
    if (await stat(join(path, 'full_attention_heads.tsv')).catch(() => null)) return 'duo'
    throw new InputError(`${path} holds no full_attention_heads.tsv; name a score file in it`)
  }
  const start = await firstBytes(path)
  if (start.startsWith('ARROW1')) return 'arrow'
  if (start.startsWith('PK')) return 'kvzip'
  throw new InputError(
    `${path} is in no format that headzip knows: a score file of its own (Arrow), KVzip's .pt or DuoAttention's folder`,
  )
}

async function firstBytes(path: string): Promise<string> {
  const handle = await open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
