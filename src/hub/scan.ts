/**
 * Models in the Hugging Face cache. Not @huggingface/hub's scanCacheDir, which leaves out repositories fetched by
 * commit, looks into no subfolders, and does not say whether a model is complete.
 */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { check } from '../check.js'
import { missingFiles } from './snapshot.js'

export interface CachedRevision {
  commit: string
  /** Branches and tags that stood there when they were fetched. */
  refs: string[]
  /** Of its files; revisions share the content they have in common. */
  bytes: number
  /** Files that headzip would need to load it; empty when it is complete. */
  missing: string[]
}

export interface CachedModel {
  /** `org/name` */
  name: string
  folder: string
  /** On disk, each content once, unfinished downloads included. */
  bytes: number
  /** Of downloads that were broken off. */
  unfinishedBytes: number
  revisions: CachedRevision[]
}

/** Empty when there is no cache. Sorted by name. */
export async function scanModels(cacheFolder: string): Promise<CachedModel[]> {
  check(cacheFolder, 'cacheFolder', 'path')
  const folders = (await entries(cacheFolder)).filter((name) => name.startsWith('models--')).sort()
  return Promise.all(folders.map((name) => scanModel(cacheFolder, name)))
}

async function scanModel(cacheFolder: string, folderName: string): Promise<CachedModel> {
  const folder = join(cacheFolder, folderName)
  const refs = await readRefs(join(folder, 'refs'))
  const blobs = await entries(join(folder, 'blobs'))
  const sizes = await Promise.all(blobs.map((blob) => sizeOf(join(folder, 'blobs', blob))))
  const commits = await entries(join(folder, 'snapshots'))
  const revisions = await Promise.all(
    commits.sort().map(async (commit) => {
      const snapshot = join(folder, 'snapshots', commit)
      const files = await filesBelow(snapshot)
      const bytes = sum(await Promise.all(files.map(sizeOf)))
      return { commit, refs: refs.get(commit) ?? [], bytes, missing: await missingFiles(snapshot) }
    }),
  )
  return {
    name: folderName.split('--').slice(1).join('/'),
    folder,
    bytes: sum(sizes),
    unfinishedBytes: sum(sizes.filter((_, i) => blobs[i]?.endsWith('.incomplete'))),
    revisions,
  }
}

/** commit -> branches and tags */
async function readRefs(folder: string): Promise<Map<string, string[]>> {
  const byCommit = new Map<string, string[]>()
  for (const file of (await filesBelow(folder)).sort()) {
    const commit = (await readFile(file, 'utf8').catch(() => '')).trim()
    byCommit.set(commit, [...(byCommit.get(commit) ?? []), relative(folder, file)])
  }
  return byCommit
}

async function filesBelow(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return found.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}

async function entries(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

/** 0 for a link to nothing. */
async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

function sum(sizes: number[]): number {
  return sizes.reduce((total, size) => total + size, 0)
}
