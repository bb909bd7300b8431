/** Which process made a temporary file, as its name tells: enough for others to know when that process is gone. */

import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

export interface Owner {
  /** The host's name and, hashed, its machine-id. */
  host: string
  /** Hash of the kernel's boot id: no two machines share it, and no two starts of one. */
  boot: string
  /** Inode of the pid namespace: each container counts its processes by itself. */
  pidNamespace: string
  pid: number
  /** Clock ticks from boot to its start, since pids are given again. */
  start: string
}

/** Of processes outside containers (PROC_PID_INIT_INO of Linux). */
const initialNamespace = '4026531836'
const unknownNamespace = '0'

let own: Owner | undefined

export function thisProcess(): Owner {
  own ??= {
    host: `${hostname()
      .replace(/[^\w-]/g, '_')
      .slice(0, 40)}-${short(textOf('/etc/machine-id'))}`,
    boot: short(textOf('/proc/sys/kernel/random/boot_id')),
    pidNamespace: namespaceOf(),
    pid: process.pid,
    start: startOf('self')?.ticks ?? '0',
  }
  return own
}

/** `node17-1f6d2a48-c28a3bd4-4026531836-4711-88123` */
export function ownerTag({ host, boot, pidNamespace, pid, start }: Owner): string {
  return [host, boot, pidNamespace, pid, start].join('-')
}

export function parseOwner(tag: string): Owner | undefined {
  const [, host, boot, pidNamespace, pid, start] = /^(.+)-([0-9a-f]{8})-(\d+)-(\d+)-(\d+)$/.exec(tag) ?? []
  if (host === undefined) return undefined
  return { host, boot: boot!, pidNamespace: pidNamespace!, pid: Number(pid), start: start! }
}

/** @returns undefined where it cannot be known: on another machine, or in another container of this one */
export function isGone(owner: Owner): boolean | undefined {
  const here = thisProcess()
  if (owner.host !== here.host) return undefined
  if (owner.boot === here.boot) return owner.pidNamespace === here.pidNamespace ? !lives(owner) : undefined
  // The machine has been started anew. Of containers that is not known: several machines may give them one name.
  return owner.pidNamespace === initialNamespace && here.pidNamespace === initialNamespace ? true : undefined
}

/** On this machine, but counted by another container, which only a lock can tell about. */
export function isInOtherContainer({ boot, pidNamespace }: Owner): boolean {
  const here = thisProcess()
  return boot === here.boot && pidNamespace !== here.pidNamespace
}

export function inContainer(): boolean {
  return ![initialNamespace, unknownNamespace].includes(thisProcess().pidNamespace)
}

function lives({ pid, start }: Owner): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there, and another user's.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const found = startOf(String(pid))
  if (!found) return true
  return found.ticks === start && !found.ended
}

/** From /proc/<pid>/stat; undefined where there is none, or it may not be read. */
function startOf(pid: string): { ticks: string; ended: boolean } | undefined {
  const text = textOf(`/proc/${pid}/stat`)
  // The second field is the program's name in brackets, which may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = fields[19]
  // A zombie writes no more.
  return ticks === undefined ? undefined : { ticks, ended: fields[0] === 'Z' || fields[0] === 'X' }
}

function namespaceOf(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? unknownNamespace
  } catch {
    return unknownNamespace
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function short(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
