/**
 * Locks between processes on one cache. flock(2), through the addon because Node has no call for it: it is the lock
 * that Python's huggingface_hub takes on the same files, and it ends with the process, so that none is ever stale.
 */

import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAddon } from '../engine/binding.js'
import { abortError } from '../engine/job.js'
import { InputError } from '../errors.js'

const pollMilliseconds = 100

/** Runs `act` while no other process holds the lock. @throws InputError where the file system knows no locks */
export async function withFileLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  act: () => Promise<T>,
): Promise<T> {
  for (;;) {
    if (signal?.aborted) throw abortError()
    const handle = await open(path, 'a', 0o664)
    try {
      // A lock file that its last holder deleted locks nothing: open the new one.
      if (tryLock(handle.fd, path) && (await handle.stat()).nlink > 0) return await act()
    } finally {
      await handle.close()
    }
    await sleep(pollMilliseconds, undefined, { signal }).catch(() => undefined)
  }
}

function tryLock(fd: number, path: string): boolean {
  try {
    return loadAddon().tryLock(fd)
  } catch (error) {
    if (error instanceof InputError) throw error
    const why = (error as Error).message
    throw new InputError(
      `${path} cannot be locked (${why}): set HF_HUB_CACHE to a folder on a file system with locks`,
      { cause: error },
    )
  }
}
