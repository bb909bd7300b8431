/**
 * What a foreign format leaves out, for headzip to find again: which layers are scored, and where the scores come from.
 * It stands under `headzip` of a config.json, in the archive of a .pt, or in a file beside a table.
 */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { InputError } from '../errors.js'
import { type WriteOptions, writeFilesAtomic } from '../files/write.js'
import type { HeadScores, Provenance } from '../scores/head-scores.js'
import { isCount, parseProvenance } from '../scores/verify.js'
import { readSmallText } from './matrix-text.js'

export interface OwnMetadata {
  /** (scored layers) index in the model of each */
  layer_ids: number[]
  kv_heads: number
  provenance: Provenance
}

export function metadataOf({ layerIds, kvHeads, provenance }: HeadScores): OwnMetadata {
  return { layer_ids: Array.from(layerIds), kv_heads: kvHeads, provenance }
}

/** @param layers of the model that the file can tell of. @throws InputError naming what is wrong */
export function parseMetadata(found: unknown, layers: number, where: string): OwnMetadata {
  const metadata: Record<string, unknown> = typeof found === 'object' && found !== null ? { ...found } : {}
  const ids: unknown[] = Array.isArray(metadata.layer_ids) ? metadata.layer_ids : []
  const layerIds = ids.filter((id): id is number => typeof id === 'number' && isCount(id, 0, layers - 1))
  if (layerIds.length === 0 || layerIds.length !== ids.length)
    throw new InputError(`${where} names scored layers that the ${layers} rows beside it do not have`)
  const { kv_heads: kvHeads } = metadata
  return {
    layer_ids: layerIds,
    // Older folders of DuoAttention do not say it: their rows do.
    kv_heads: typeof kvHeads === 'number' && isCount(kvHeads, 1) ? kvHeads : 0,
    provenance: parseProvenance(JSON.stringify(metadata.provenance ?? null), where),
  }
}

const ending = '.headzip.json'

export function isMetadataFile(name: string): boolean {
  return name.endsWith(ending)
}

/**
 * Writes a table, and the metadata beside it, which counts as long as the table is as it was written. Standard output holds
 * the table alone.
 * @returns the paths written
 */
export async function writeWithMetadata(
  path: string,
  text: string,
  scores: HeadScores,
  options: WriteOptions,
): Promise<string[]> {
  const metadata = `${JSON.stringify({ sha256: hashOf(text), ...metadataOf(scores) }, null, 2)}\n`
  const files: [string, string][] = options.into
    ? [[path, text]]
    : [
        [path, text],
        [`${path}${ending}`, metadata],
      ]
  await writeFilesAtomic(files, options)
  return files.map(([file]) => file)
}

/** @param layers as in `parseMetadata` @returns undefined when there is none, or the table was changed since */
export async function readMetadataFile(
  path: string,
  text: string,
  layers: number,
): Promise<OwnMetadata | undefined> {
  const where = `${path}${ending}`
  if (!existsSync(where)) return undefined
  const found = parseJson(await readSmallText(where, ''), where)
  const same =
    typeof found === 'object' && found !== null && 'sha256' in found && found.sha256 === hashOf(text)
  return same ? parseMetadata(found, layers, where) : undefined
}

export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InputError(`${where} is not JSON`, { cause: error })
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
