/** What a repository holds, asked of the hub through @huggingface/hub. */

import { InputError } from '../errors.js'
import { describeRepo, isCommit, type Repo } from './repo.js'
import { type Connection, request } from './request.js'

export interface HubFile {
  /** Within the repository. */
  path: string
  size: number
  /** Hex, and the blob's name in the cache: sha256 of the content where LFS keeps it, else git's sha1 of the blob. */
  digest: string
}

/** The part of the library's file entries that matters here. */
interface Entry {
  type: string
  path: string
  size: number
  oid?: string | undefined
  lfs?: { oid: string; size: number } | undefined
}

/** The commit a branch or tag stands at. @throws as `request` does */
export async function commitOf(repo: Repo, connection: Connection): Promise<string> {
  if (isCommit(repo.revision)) return repo.revision
  const { datasetInfo, modelInfo } = await import('@huggingface/hub')
  const { name, revision } = repo
  const about = { ...common(repo, connection), name, revision }
  const { sha } =
    repo.type === 'model'
      ? await modelInfo({ ...about, additionalFields: ['sha'] })
      : await datasetInfo({ ...about, additionalFields: ['sha'] })
  if (typeof sha === 'string' && isCommit(sha)) return sha
  throw new InputError(`the hub names no commit for ${describeRepo(repo)}`)
}

/** Files in the root of a repository, or in all of its folders. */
export async function listRepo(
  repo: Repo,
  commit: string,
  connection: Connection,
  recursive = false,
): Promise<HubFile[]> {
  const { listFiles } = await import('@huggingface/hub')
  const files: HubFile[] = []
  const where = { repo: { type: repo.type, name: repo.name }, revision: commit, recursive }
  for await (const entry of listFiles({ ...common(repo, connection), ...where })) {
    if (entry.type === 'file') files.push(toFile(entry, repo))
  }
  return files
}

/** One file. @throws InputError when the repository does not hold it */
export async function findFile(
  repo: Repo,
  commit: string,
  path: string,
  connection: Connection,
): Promise<HubFile> {
  const { pathsInfo } = await import('@huggingface/hub')
  const [entry] = await pathsInfo({
    ...common(repo, connection),
    repo: { type: repo.type, name: repo.name },
    revision: commit,
    paths: [path],
  })
  if (entry?.type === 'file' && entry.path === path) return toFile(entry, repo)
  throw new InputError(`${describeRepo(repo)} holds no file ${path}`)
}

/** The library takes tokens of one spelling only; ours travels with our own fetch. */
function common(
  repo: Repo,
  connection: Connection,
): {
  hubUrl: string
  fetch: typeof fetch
} {
  return {
    hubUrl: connection.settings.endpoint,
    fetch: (url, init) => request(String(url), connection, { init, subject: { repo } }),
  }
}

function toFile({ path, size, oid, lfs }: Entry, repo: Repo): HubFile {
  const digest = lfs?.oid ?? oid ?? ''
  const bytes = lfs?.size ?? size
  // They become names and sizes of files here, so nothing else may come in.
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(digest) || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new InputError(`the hub lists ${path} of ${describeRepo(repo)} without a size and a checksum`)
  }
  checkPath(path)
  return { path, size: bytes, digest }
}

/** @throws InputError for a path that would leave its repository */
export function checkPath(path: string): string {
  const parts = path.split('/')
  if (parts.every((part) => part !== '' && part !== '.' && part !== '..' && !/[\0\\]/.test(part))) return path
  throw new InputError(`a file in a repository is named like data/file.parquet, got '${path.slice(0, 80)}'`)
}
