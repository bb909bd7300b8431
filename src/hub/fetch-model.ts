/** A model of the hub on this machine's disk: from the cache, or downloaded into it. */

import { readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { checkFields, checkOptions, jobFields } from '../check.js'
import { abortError } from '../engine/job.js'
import { InputError } from '../errors.js'
import { readConfig } from '../model/config.js'
import { familyOf } from '../model/families/index.js'
import { RepoCache } from './cache.js'
import { commitOf, type HubFile, listRepo } from './listing.js'
import { HubUnreachable } from './refusals.js'
import { checkRepo, describeRepo, isCommit, type NamedModel } from './repo.js'
import type { Connection } from './request.js'
import type { HubWait } from './retry.js'
import { type HubSettings, hubSettings } from './settings.js'
import {
  chooseGguf,
  firstFiles,
  ggufParts,
  matchGguf,
  missingFiles,
  weightFiles,
  weightsIndex,
} from './snapshot.js'
import { type DownloadProgress, downloadAll } from './transfers.js'

export interface HubOptions {
  /** From the environment when left out. */
  settings?: HubSettings | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((progress: DownloadProgress) => void) | undefined
  /** Told before a failed request is waited with. */
  onWait?: ((wait: HubWait) => void) | undefined
}

/** @throws TypeError or RangeError for options that are none */
export function checkHubOptions(options: HubOptions & { revision?: unknown }): void {
  checkOptions(options, { ...jobFields, onWait: 'function?', settings: 'object?', revision: 'text?' })
  if (options.settings)
    checkFields(options.settings, 'settings', {
      endpoint: 'text',
      cacheFolder: 'path',
      token: 'string?',
      offline: 'flag',
      timeoutSeconds: 'number',
      backoffSeconds: 'number',
      patienceSeconds: 'number',
    })
}

/**
 * Fetches what headzip needs of a model: config, tokenizer, safetensors weights; or one .gguf file.
 * @returns the snapshot's folder, or the path of the .gguf file
 * @throws InputError with one sentence: refused, unreachable without a copy in the cache, or not a model headzip reads
 */
export async function fetchModel(model: NamedModel, options: HubOptions = {}): Promise<string> {
  const { settings = hubSettings(), signal, onProgress, onWait } = options
  const repo = checkRepo({ type: 'model', name: model.name, revision: model.revision ?? 'main' })
  const cache = new RepoCache(settings.cacheFolder, repo)
  if (settings.offline || isCommit(repo.revision)) {
    const cached = await fromCache(cache, model.file)
    if (cached.path !== undefined) return cached.path
    if (settings.offline) throw notCached(cache, cached.missing, 'HF_HUB_OFFLINE is set')
  }
  const connection: Connection = { settings, signal, onWait }
  try {
    return await fromHub(cache, model.file, connection, onProgress)
  } catch (error) {
    if (signal?.aborted) throw abortError()
    if (!(error instanceof HubUnreachable)) throw error
    const cached = await fromCache(cache, model.file)
    if (cached.path !== undefined) return cached.path
    throw error
  }
}

async function fromHub(
  cache: RepoCache,
  wanted: string | undefined,
  connection: Connection,
  onProgress: HubOptions['onProgress'],
): Promise<string> {
  const { repo } = cache
  const what = describeRepo(repo)
  const commit = await commitOf(repo, connection)
  const snapshot = cache.snapshot(commit)
  // Quantised files may lie in folders of their own; the others stand in the root.
  const listed = await listRepo(repo, commit, connection, wanted !== undefined)
  const transfer = { cache, commit, connection }
  const onlyGguf = !listed.some(({ path }) => path === weightsIndex || path.endsWith('.safetensors'))
  if (wanted !== undefined || (onlyGguf && matchGguf(listed, undefined).length > 0)) {
    const file = chooseGguf(listed, wanted, what)
    const { files, missing } = ggufParts(listed, file.path)
    if (missing.length > 0)
      throw new InputError(`${what} holds ${file.path}, but not ${missing[0]}, another part of that model`)
    await checkSpace(files, cache, commit, connection.settings)
    await downloadAll(files, transfer, onProgress)
    await cache.remember(commit)
    return join(snapshot, file.path)
  }
  if (!listed.some(({ path }) => path === 'config.json')) {
    throw new InputError(`${what} is not a model that headzip reads: it has no config.json`)
  }
  const first = firstFiles(listed)
  await downloadAll(first, transfer, undefined)
  // Refuses a model that headzip cannot run before its gigabytes come for nothing.
  familyOf(readConfig(snapshot).config)
  const weights = await weightFiles(listed, snapshot, what)
  await checkSpace(weights, cache, commit, connection.settings)
  await downloadAll([...first, ...weights], transfer, onProgress)
  await cache.remember(commit)
  return snapshot
}

/** What the cache alone has: the path, or what it lacks. */
async function fromCache(
  cache: RepoCache,
  wanted: string | undefined,
): Promise<{ path?: string; missing: string[] }> {
  const commit = await cache.knownCommit()
  if (commit === undefined) return { missing: [] }
  const snapshot = cache.snapshot(commit)
  const paths = await readdir(snapshot, { recursive: true }).catch((): string[] => [])
  const listed = paths.map((path) => ({ path }))
  const gguf = matchGguf(listed, wanted)
  if (wanted !== undefined || (gguf.length > 0 && !paths.some((path) => path.endsWith('.safetensors')))) {
    if (gguf.length === 0) return { missing: [wanted ?? '.gguf'] }
    const chosen = chooseGguf(listed, wanted, `the cached ${describeRepo(cache.repo)}`)
    const { missing } = ggufParts(listed, chosen.path)
    return missing.length === 0 ? { path: join(snapshot, chosen.path), missing } : { missing }
  }
  const missing = await missingFiles(snapshot)
  return missing.length === 0 ? { path: snapshot, missing } : { missing }
}

export function notCached(cache: RepoCache, missing: string[], why: string): InputError {
  const lacks = missing.length === 0 ? 'is not in' : `is incomplete (without ${missing.join(', ')}) in`
  return new InputError(`${describeRepo(cache.repo)} ${lacks} the cache ${cache.folder}, and ${why}`)
}

/** Says before a long download that the disk is too small for it. */
async function checkSpace(
  files: HubFile[],
  cache: RepoCache,
  commit: string,
  { cacheFolder }: HubSettings,
): Promise<void> {
  let needed = 0
  for (const file of files) if (!(await cache.has(file, commit))) needed += file.size
  const disk = await statfs(cacheFolder).catch(() => undefined)
  if (!disk || needed <= disk.bavail * disk.bsize) return
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`
  throw new InputError(
    `${describeRepo(cache.repo)} needs ${gib(needed)}, but ${cacheFolder} has ${gib(disk.bavail * disk.bsize)} left: ` +
      'free some, or set HF_HUB_CACHE to a folder on a larger disk',
  )
}
