/** Output files: written whole or not at all, never over an existing file unless told so. */

import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { access, constants, copyFile, link, lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError, isUserError } from '../errors.js'

export interface WriteOptions {
  /** replace what is there */
  force?: boolean
}

/** Whole, or piece by piece where it is too large to hold. */
export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>

/**
 * Says early, before hours of work, whether `path` can be written later.
 * @throws InputError when it exists and force is not set, is a folder, or cannot be created
 */
export async function checkWritable(path: string, options: WriteOptions = {}): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (found && (await isFolder(path))) throw new InputError(`${path} is a folder; name a file in it`)
  if (found && !options.force) throw exists(path)
  let parent = dirname(resolve(path))
  while (!(await lstat(parent).catch(() => null)) && parent !== dirname(parent)) parent = dirname(parent)
  if (!(await isFolder(parent))) throw new InputError(`${path} cannot be written: ${parent} is not a folder`)
  await access(parent, constants.W_OK | constants.X_OK).catch(() => {
    throw new InputError(`${path} cannot be written: ${parent} is not writable`)
  })
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
 * first gets its real one; when any fails, those that this call created are taken back.
 * @throws InputError when one exists and force is not set, or a folder or file cannot be written
 */
export async function writeFilesAtomic(
  files: readonly (readonly [path: string, bytes: FileContent])[],
  options: WriteOptions = {},
): Promise<void> {
  const temps: string[] = []
  const created: string[] = []
  try {
    for (const [path] of files) await checkWritable(path, options)
    for (const [path, bytes] of files) temps.push(await writeTemp(path, bytes))
    for (const [i, [path]] of files.entries()) {
      await publish(temps[i]!, path, options.force ?? false)
      if (!options.force) created.push(path)
    }
  } catch (error) {
    for (const path of created) await rm(path, { force: true })
    throw error
  } finally {
    for (const temp of temps) {
      await rm(temp, { force: true })
      forget(temp)
    }
  }
}

async function writeTemp(path: string, bytes: FileContent): Promise<string> {
  const temp = join(dirname(path), `.${basename(path).slice(0, 100)}.${randomUUID()}.tmp`)
  remember(temp)
  try {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(temp, 'wx')
    try {
      if (typeof bytes === 'string' || bytes instanceof Uint8Array) await handle.writeFile(bytes)
      else for await (const part of bytes) await handle.writeFile(part) // each goes on where the last one ended
      await handle.sync()
    } finally {
      await handle.close()
    }
    return temp
  } catch (error) {
    await rm(temp, { force: true })
    forget(temp)
    // A source that was aborted or refused says so itself.
    if (isUserError(error)) throw error
    throw new InputError(`${path} cannot be written: ${reason(error)}`, { cause: error })
  }
}

async function publish(temp: string, path: string, force: boolean): Promise<void> {
  try {
    // rename() replaces silently; link() fails when the name is taken, so of two writers only one wins.
    if (force) await rename(temp, path)
    else await link(temp, path).catch((error: unknown) => linkless(error, temp, path))
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

const live = new Set<string>()
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function remember(temp: string): void {
  if (live.size === 0) {
    process.on('exit', removeLive)
    for (const signal of signals) process.on(signal, onSignal)
  }
  live.add(temp)
}

function forget(temp: string): void {
  live.delete(temp)
  if (live.size === 0) {
    process.off('exit', removeLive)
    for (const signal of signals) process.off(signal, onSignal)
  }
}

function removeLive(): void {
  for (const temp of live) rmSync(temp, { force: true })
}

/** Listening suppresses the default death, so die of the same signal unless somebody else handles it. */
function onSignal(signal: NodeJS.Signals): void {
  removeLive()
  for (const name of signals) process.off(name, onSignal)
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false
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
