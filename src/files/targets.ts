/** What a path to write stands for. A rename would put a file in place of a link, a pipe or a device. */

import type { Stats } from 'node:fs'
import { lstat, readlink, realpath } from 'node:fs/promises'
import { dirname, isAbsolute } from 'node:path'
import { InputError } from '../errors.js'

/** As many as Linux follows. */
const mostLinks = 40

/**
 * The file at the end of a path's symbolic links, which need not be there.
 * @throws InputError when they lead in a circle, or to an open file of a process (/dev/stdout, /dev/fd/3)
 */
export async function followLinks(path: string): Promise<string> {
  let at = path
  for (let links = 0; links < mostLinks; links++) {
    const found = await lstat(at).catch(() => null)
    if (!found?.isSymbolicLink()) return at
    // From where the folder really lies, as `..` in the link counts from there.
    const folder = await realpath(dirname(at))
    if (/^\/proc\/(\d+|self)\//.test(folder)) throw notAFile(path, 'an open file of a process')
    const to = await readlink(at)
    at = isAbsolute(to) ? to : `${folder}/${to}`
  }
  throw new InputError(`${path} cannot be written: its symbolic links lead in a circle`)
}

/** @throws InputError unless it is a regular file */
export function refuseSpecial(path: string, found: Stats): void {
  if (found.isFile()) return
  const kind = found.isFIFO() ? 'a named pipe' : found.isSocket() ? 'a socket' : 'a device'
  throw notAFile(path, kind)
}

function notAFile(path: string, kind: string): InputError {
  return new InputError(
    `${path} is ${kind}, which is not written to: name a file, or - for standard output where one file is made`,
  )
}
