/** Head scores that an evaluation compares, by label. */

import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkList } from '../check.js'
import { InputError } from '../errors.js'
import { readAnyScores } from '../formats/detect.js'
import type { HeadScores } from '../scores/head-scores.js'
import type { NamedScores } from './arms.js'

/**
 * @param paths score files of ours, KVzip's .pt, DuoAttention's folders; `label=path` names one; two files of one name
 *   are told apart by their folders
 */
export async function readNamedScores(paths: readonly string[]): Promise<NamedScores[]> {
  checkList(paths, 'paths', 'path', 0)
  const named = await Promise.all(paths.map(readOne))
  const labels = new Set(named.map(({ label }) => label))
  if (labels.size < named.length)
    throw new InputError(`two score files would be called the same; name them as label=path`)
  return named.map(({ label, scores }) => ({ label, scores, hash: hashOf(scores) }))

  async function readOne(given: string): Promise<{ label: string; scores: HeadScores }> {
    const [, chosen, path = given] = /^([\w.-]+)=(.+)$/.exec(given) ?? []
    const stem = basename(path, extname(path))
    const twins = paths.filter((other) => basename(other, extname(other)) === stem)
    const label = chosen ?? (twins.length > 1 ? `${basename(dirname(resolve(path)))}/${stem}` : stem)
    return { label, scores: await readAnyScores(path) }
  }
}

/** head_scores/<model>/merged.arrow here, or the one that comes with the package; undefined when there is neither. */
export async function defaultScores(model: string): Promise<string | undefined> {
  const file = join('head_scores', model, 'merged.arrow')
  // two levels up from src/eval as from dist/eval
  const candidates = [file, fileURLToPath(new URL(`../../${file}`, import.meta.url))]
  for (const path of candidates) if ((await stat(path).catch(() => undefined))?.isFile()) return path
  return undefined
}

function hashOf({ layerIds, kvHeads, max, mean }: HeadScores): string {
  const hash = createHash('sha256').update(String(kvHeads))
  for (const part of [layerIds, max, mean])
    if (part) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
  return hash.digest('hex')
}
