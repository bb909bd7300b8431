/**
 * Temporary files, which become real ones by a rename. Each is named after the process that makes it, so that what a
 * killed process left is removed by the next one that writes there: `.<name>.<owner>.<random>.tmp`, or `.locked.tmp`.
 */

import { randomBytes } from 'node:crypto'
import { closeSync, openSync, rmSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { loadAddon } from '../engine/binding.js'
import { inContainer, isGone, isInOtherContainer, ownerTag, parseOwner, thisProcess } from './owner.js'

/** File systems take names of 255 bytes; owner and random part take up to 140. */
const mostNameBytes = 100

/** A writer has locked its file long before. */
const freshMilliseconds = 60_000

/**
 * A name for a new file or folder beside `target`; it is removed when this process ends, unless renamed by then.
 * @param locked `lockTemporary` will be called, as soon as the file is there
 */
export function claimTemporary(target: string, locked = false): string {
  const name = Buffer.from(basename(target)).subarray(0, mostNameBytes).toString()
  const random = randomBytes(4).toString('hex')
  const path = join(
    dirname(target),
    `.${name}.${ownerTag(thisProcess())}.${random}${locked ? '.locked' : ''}.tmp`,
  )
  remember(path)
  return path
}

/** Removes what is left of it. */
export async function releaseTemporary(path: string): Promise<void> {
  await rm(path, { force: true, recursive: true })
  forget(path)
}

/** Whether this process can and need lock its files: in a container, whose processes others cannot see. */
export function locksTemporaries(): boolean {
  if (!inContainer()) return false
  try {
    loadAddon()
    return true
  } catch {
    return false
  }
}

/** Holds a lock until `fd` is closed. Where the file system knows none, nobody else gets one either. */
export function lockTemporary(fd: number): void {
  tryLock(fd)
}

/** Removes from a folder what processes left there that are gone; nothing of a living one, nor of another machine. */
export async function sweepTemporaries(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    if (!name.endsWith('.tmp')) continue
    const [, tag, locked] = /^\..*\.([\w-]+)\.[0-9a-f]{8}(\.locked)?\.tmp$/s.exec(name) ?? []
    const owner = tag === undefined ? undefined : parseOwner(tag)
    if (!owner) continue
    const path = join(folder, name)
    const gone =
      isGone(owner) ?? (isInOtherContainer(owner) && locked !== undefined && (await isUnlocked(path)))
    // Another process may sweep, too; and what may not be removed is not ours.
    if (gone) await rm(path, { force: true, recursive: true }).catch(() => {})
  }
}

async function isUnlocked(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile() || Date.now() - found.mtimeMs < freshMilliseconds) return false
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    return tryLock(fd)
  } catch {
    return false
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function tryLock(fd: number): boolean {
  try {
    return loadAddon().tryLock(fd)
  } catch {
    return false
  }
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
  for (const temp of live) rmSync(temp, { force: true, recursive: true })
}

/** Listening suppresses the default death, so die of the same signal unless somebody else handles it. */
function onSignal(signal: NodeJS.Signals): void {
  removeLive()
  for (const name of signals) process.off(name, onSignal)
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
}
