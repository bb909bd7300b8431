/**
 * The Hugging Face cache of one repository, in the layout that Python shares:
 * blobs/<digest> is content, snapshots/<commit>/<path> links to it, refs/<revision> holds a commit.
 */

import { mkdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { InputError } from '../errors.js'
import { claimTemporary, releaseTemporary, sweepTemporaries } from '../files/temporary.js'
import type { HubFile } from './listing.js'
import { folderName, isCommit, type Repo } from './repo.js'

export class RepoCache {
  readonly folder: string
  private readonly locks: string

  constructor(
    cacheFolder: string,
    readonly repo: Repo,
  ) {
    this.folder = join(cacheFolder, folderName(repo))
    this.locks = join(cacheFolder, '.locks', folderName(repo))
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  blob(digest: string): string {
    return join(this.folder, 'blobs', digest)
  }

  lock(digest: string): string {
    return join(this.locks, `${digest}.lock`)
  }

  /** The commit that the revision stood at when it was last fetched. */
  async knownCommit(): Promise<string | undefined> {
    const { revision } = this.repo
    if (isCommit(revision)) return revision
    const text = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '')
    return isCommit(text.trim()) ? text.trim() : undefined
  }

  async remember(commit: string): Promise<void> {
    const { revision } = this.repo
    if (revision === commit || (await this.knownCommit()) === commit) return
    const ref = join(this.folder, 'refs', revision)
    await this.create(ref, (temp) => writeFile(temp, commit))
  }

  /** Whether the snapshot has the whole of a file. */
  async has({ path, size }: HubFile, commit: string): Promise<boolean> {
    return sizeOf(join(this.snapshot(commit), path), size)
  }

  async hasBlob({ digest, size }: HubFile): Promise<boolean> {
    return sizeOf(this.blob(digest), size)
  }

  async prepare(file: HubFile): Promise<void> {
    try {
      await mkdir(dirname(this.blob(file.digest)), { recursive: true })
      await mkdir(this.locks, { recursive: true })
    } catch (error) {
      throw unwritable(this.folder, error)
    }
  }

  /** Puts a blob into a snapshot. */
  async link({ path, digest }: HubFile, commit: string): Promise<void> {
    const pointer = join(this.snapshot(commit), path)
    const target = relative(dirname(pointer), this.blob(digest))
    if ((await readlink(pointer).catch(() => '')) === target) return
    await this.create(pointer, (temp) => symlink(target, temp))
  }

  /** Makes a file or link under another name first: who looks sees none, the old one or the new one. */
  private async create(path: string, make: (temp: string) => Promise<void>): Promise<void> {
    const temp = claimTemporary(path)
    try {
      await mkdir(dirname(path), { recursive: true })
      await sweepTemporaries(dirname(path))
      await make(temp)
      await rename(temp, path)
    } catch (error) {
      throw unwritable(path, error)
    } finally {
      await releaseTemporary(temp)
    }
  }
}

async function sizeOf(path: string, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true && found.size === size
}

export function unwritable(path: string, error: unknown): InputError {
  return new InputError(`${path} cannot be written: ${(error as Error).message}`, { cause: error })
}
