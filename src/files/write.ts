/** Output files: written whole or not at all, never over an existing file unless told so. */

import {
  access,
  constants,
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  rename,
  rm,
  stat,
} from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError, isUserError } from '../errors.js'
import { followLinks, refuseSpecial } from './targets.js'
import {
  claimTemporary,
  locksTemporaries,
  lockTemporary,
  releaseTemporary,
  sweepTemporaries,
} from './temporary.js'

export interface WriteOptions {
  /** replace what is there */
  force?: boolean
  /** takes the content of each file in place of the disk, as standard output does */
  into?: (content: FileContent, path: string) => Promise<void>
}

/** Whole, or piece by piece where it is too large to hold. */
export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>

/** A path as it stands; of a file: URL, its path. @throws InputError for a URL that names no local file */
export function pathOf(file: string | URL): string {
  if (typeof file === 'string' && !file.startsWith('file:')) return file
  try {
    return fileURLToPath(file)
  } catch (error) {
    throw new InputError(`${file} is not the URL of a file on this machine`, { cause: error })
  }
}

/**
 * Says early, before hours of work, whether `path` can be written later.
 * @throws InputError when it exists and force is not set, is a folder, a device or a pipe, or cannot be created
 */
export async function checkWritable(path: string, options: WriteOptions = {}): Promise<void> {
  if (!options.into) await writableTarget(path, options)
}

/** @returns the file that `path` stands for: itself, or what its symbolic links lead to */
async function writableTarget(path: string, options: WriteOptions): Promise<string> {
  if (path === '') throw new InputError('the path of the file to write is empty')
  const target = await followLinks(path)
  const found = await stat(target).catch(() => null)
  if (found?.isDirectory()) throw new InputError(`${path} is a folder; name a file in it`)
  if (found) refuseSpecial(path, found)
  if (found && !options.force) throw exists(path)
  let parent = dirname(resolve(target))
  while (!(await lstat(parent).catch(() => null)) && parent !== dirname(parent)) parent = dirname(parent)
  if ((await stat(parent).catch(() => null))?.isDirectory() !== true)
    throw new InputError(`${path} cannot be written: ${parent} is not a folder`)
  await access(parent, constants.W_OK | constants.X_OK).catch(() => {
    throw new InputError(`${path} cannot be written: ${parent} is not writable`)
  })
  return target
}

/** `writeFilesAtomic` for one file. */
export async function writeFileAtomic(
  path: string,
  bytes: FileContent,
  options: WriteOptions = {},
): Promise<void> {
  await writeFilesAtomic([[path, bytes]], options)
}

/**
 * Writes files that belong together. All are complete under temporary names in their own folders before the
 * first gets its real one; when any fails, those that this call created are taken back. A symbolic link stays, and the
 * file that it leads to is written. What killed processes left in the folders is removed.
 * @throws InputError when one exists and force is not set, or a folder or file cannot be written
 */
export async function writeFilesAtomic(
  files: readonly (readonly [path: string, bytes: FileContent])[],
  options: WriteOptions = {},
): Promise<void> {
  if (options.into) {
    for (const [path, bytes] of files) await options.into(bytes, path)
    return
  }
  const temps: Temporary[] = []
  const created: string[] = []
  try {
    const targets: string[] = []
    for (const [path] of files) targets.push(await writableTarget(path, options))
    for (const folder of new Set(targets.map((target) => dirname(target)))) await sweepTemporaries(folder)
    for (const [i, [path, bytes]] of files.entries()) temps.push(await writeTemp(path, targets[i]!, bytes))
    for (const [i, [path]] of files.entries()) {
      await publish(temps[i]!.path, path, targets[i]!, options.force ?? false)
      if (!options.force) created.push(targets[i]!)
    }
  } catch (error) {
    for (const path of created) await rm(path, { force: true })
    throw error
  } finally {
    for (const { path, handle } of temps) {
      await handle.close()
      await releaseTemporary(path)
    }
  }
}

interface Temporary {
  path: string
  /** Open until the file has its real name, for it may hold a lock. */
  handle: FileHandle
}

/** @param path as the user named it, for messages */
async function writeTemp(path: string, target: string, bytes: FileContent): Promise<Temporary> {
  const locked = locksTemporaries()
  const temp = claimTemporary(target, locked)
  let handle: FileHandle | undefined
  try {
    await mkdir(dirname(target), { recursive: true })
    handle = await open(temp, 'wx')
    if (locked) lockTemporary(handle.fd)
    if (typeof bytes === 'string' || bytes instanceof Uint8Array) await handle.writeFile(bytes)
    else for await (const part of bytes) await handle.writeFile(part) // each goes on where the last one ended
    await handle.sync()
    return { path: temp, handle }
  } catch (error) {
    await handle?.close()
    await releaseTemporary(temp)
    // A source that was aborted or refused says so itself.
    if (isUserError(error)) throw error
    throw new InputError(`${path} cannot be written: ${reason(error)}`, { cause: error })
  }
}

async function publish(temp: string, path: string, target: string, force: boolean): Promise<void> {
  try {
    // rename() replaces silently; link() fails when the name is taken, so of two writers only one wins.
    if (force) await rename(temp, target)
    else await link(temp, target).catch((error: unknown) => linkless(error, temp, target))
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw exists(path)
    throw new InputError(`${path} cannot be written: ${reason(error)}`, { cause: error })
  }
}

/** File systems without hard links: an exclusive copy still lets only one writer win. */
async function linkless(error: unknown, temp: string, path: string): Promise<void> {
  if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(codeOf(error))) throw error
  await copyFile(temp, path, constants.COPYFILE_EXCL)
}

function exists(path: string): InputError {
  return new InputError(`${path} exists; pass --force to replace it`)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
