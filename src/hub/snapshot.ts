/** What headzip needs of a model's repository, and whether a snapshot in the cache has it. */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../errors.js'
import { isLaterPart, partNames } from '../model/gguf/parts.js'
import type { HubFile } from './listing.js'

/** Small files beside the weights; a repository need not hold all of them. */
const sideFiles = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'chat_template.json',
]
const singleWeights = 'model.safetensors'
export const weightsIndex = 'model.safetensors.index.json'

/** Files to fetch first: all but the weights, and the index that says which shards there are. */
export function firstFiles(listed: HubFile[]): HubFile[] {
  const single = listed.some(({ path }) => path === singleWeights)
  const wanted = single ? sideFiles : [...sideFiles, weightsIndex]
  return listed.filter(({ path }) => wanted.includes(path))
}

/**
 * The weights: one file, or the shards of the index in the snapshot.
 * @param what for messages: the repository
 * @throws InputError when the repository holds none that headzip reads
 */
export async function weightFiles(listed: HubFile[], snapshot: string, what: string): Promise<HubFile[]> {
  const byPath = new Map(listed.map((file) => [file.path, file]))
  const single = byPath.get(singleWeights)
  if (single) return [single]
  if (!byPath.has(weightsIndex)) throw new InputError(noWeights(listed, what))
  const shards = await shardsOf(snapshot)
  if (!shards) throw new InputError(`${weightsIndex} of ${what} has no weight_map of file names`)
  return shards.map((shard) => {
    const file = byPath.get(shard)
    if (!file) throw new InputError(`${weightsIndex} of ${what} names ${shard}, which is not there`)
    return file
  })
}

function noWeights(listed: HubFile[], what: string): string {
  const files = listed.map(({ path }) => path)
  const pickles = files.filter((path) => /\.(bin|pt|pth|ckpt)$/.test(path))
  const only = pickles.length > 0 ? ` but ${pickles[0]}, a pickle, which headzip never executes` : ''
  return `${what} holds no safetensors weights${only}`
}

/**
 * The .gguf files whose path is `wanted` or holds it as a part, such as `Q4_K_M`; all of them without. A split model
 * counts as its first file.
 */
export function matchGguf<T extends { path: string }>(listed: T[], wanted: string | undefined): T[] {
  const all = listed.filter(({ path }) => path.toLowerCase().endsWith('.gguf') && !isLaterPart(path))
  const exact = all.filter(({ path }) => path === wanted)
  const part = wanted?.toLowerCase() ?? ''
  return exact.length > 0 ? exact : all.filter(({ path }) => path.toLowerCase().includes(part))
}

/** @param what for messages: the repository. @throws InputError unless exactly one matches */
export function chooseGguf<T extends { path: string }>(
  listed: T[],
  wanted: string | undefined,
  what: string,
): T {
  const found = matchGguf(listed, wanted)
  const [only] = found
  if (only && found.length === 1) return only
  const all = matchGguf(listed, undefined)
  if (all.length === 0) throw new InputError(`${what} holds no .gguf file`)
  if (!only) throw new InputError(`${what} holds no .gguf file ${wanted}; it holds ${names(all)}`)
  const which = wanted === undefined ? '' : ` for ${wanted}`
  throw new InputError(`${what} holds several .gguf files${which}; name one after a colon: ${names(found)}`)
}

/** All files of the model that the chosen one is, or is the first part of; and which of them are not listed. */
export function ggufParts<T extends { path: string }>(
  listed: T[],
  chosen: string,
): { files: T[]; missing: string[] } {
  const byPath = new Map(listed.map((file) => [file.path, file]))
  const parts = partNames(chosen)
  return {
    files: parts.flatMap((path) => byPath.get(path) ?? []),
    missing: parts.filter((path) => !byPath.has(path)),
  }
}

function names(files: { path: string }[]): string {
  return files.map(({ path }) => path).join(', ')
}

/** Distinct shard files of a snapshot's index, sorted; undefined when there is no usable index. */
async function shardsOf(snapshot: string): Promise<string[] | undefined> {
  try {
    const { weight_map: map } = JSON.parse(await readFile(join(snapshot, weightsIndex), 'utf8')) as {
      weight_map?: unknown
    }
    if (typeof map !== 'object' || map === null) return undefined
    const shards = [...new Set(Object.values(map) as unknown[])]
    return shards.every((shard) => typeof shard === 'string') ? (shards as string[]).sort() : undefined
  } catch {
    return undefined
  }
}

/** What a snapshot lacks of what it takes to load the model; empty when nothing. */
export async function missingFiles(snapshot: string): Promise<string[]> {
  const there = await readdir(snapshot).catch((): string[] => [])
  if (there.some((name) => name.toLowerCase().endsWith('.gguf'))) return []
  const shards = there.includes(singleWeights) ? [singleWeights] : await shardsOf(snapshot)
  const needed = ['config.json', ...(shards ?? [singleWeights])]
  const found = await Promise.all(needed.map((path) => stat(join(snapshot, path)).catch(() => undefined)))
  return needed.filter((_, i) => found[i]?.isFile() !== true)
}
