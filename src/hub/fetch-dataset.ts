/** One file of a data set on the hub: from the cache, or downloaded into it. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { check } from '../check.js'
import { RepoCache } from './cache.js'
import { checkHubOptions, type HubOptions, notCached } from './fetch-model.js'
import { checkPath, commitOf, findFile } from './listing.js'
import { HubUnreachable } from './refusals.js'
import { checkRepo, isCommit } from './repo.js'
import { hubSettings } from './settings.js'
import { downloadAll } from './transfers.js'

export interface DatasetFileOptions extends HubOptions {
  /** Branch, tag or commit; `main` when left out. */
  revision?: string | undefined
}

/**
 * @param name `org/name` of the data set
 * @param path of the file in it, `data/test.parquet`
 * @returns the file's path in the cache
 * @throws InputError with one sentence: refused, not there, or unreachable without a copy in the cache
 */
export async function fetchDatasetFile(
  name: string,
  path: string,
  options: DatasetFileOptions = {},
): Promise<string> {
  check(name, 'name', 'text')
  check(path, 'path', 'path')
  checkHubOptions(options)
  const { settings = hubSettings(), signal, onProgress, onWait, revision = 'main' } = options
  const cache = new RepoCache(settings.cacheFolder, checkRepo({ type: 'dataset', name, revision }))
  checkPath(path)
  if (settings.offline || isCommit(revision)) {
    const cached = await cachedFile(cache, path)
    if (cached !== undefined) return cached
    if (settings.offline) throw notCached(cache, [path], 'HF_HUB_OFFLINE is set')
  }
  const connection = { settings, signal, onWait }
  try {
    const commit = await commitOf(cache.repo, connection)
    const file = await findFile(cache.repo, commit, path, connection)
    await downloadAll([file], { cache, commit, connection }, onProgress)
    await cache.remember(commit)
    return join(cache.snapshot(commit), path)
  } catch (error) {
    if (!(error instanceof HubUnreachable) || signal?.aborted) throw error
    const cached = await cachedFile(cache, path)
    if (cached === undefined) throw error
    return cached
  }
}

async function cachedFile(cache: RepoCache, path: string): Promise<string | undefined> {
  const commit = await cache.knownCommit()
  if (commit === undefined) return undefined
  const file = join(cache.snapshot(commit), path)
  return (await stat(file).catch(() => undefined))?.isFile() ? file : undefined
}
