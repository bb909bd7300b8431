/**
 * One file from the hub into the cache. @huggingface/hub can download, but neither goes on after a break, checks what
 * came, nor keeps two processes apart; so the transfer is written here, over plain HTTP ranges.
 */

import { abortError } from '../engine/job.js'
import { InputError } from '../errors.js'
import type { RepoCache } from './cache.js'
import { withFileLock } from './file-lock.js'
import type { HubFile } from './listing.js'
import { PartialFile } from './partial-file.js'
import { HubUnreachable, networkReason } from './refusals.js'
import { describeRepo } from './repo.js'
import { type Connection, request } from './request.js'
import { pause, tries, waitAfter } from './retry.js'

export interface Transfer {
  cache: RepoCache
  commit: string
  connection: Connection
  /** @param bytes of this file that are on disk now. @param came of them with this call */
  onBytes: (bytes: number, came: number) => void
}

/**
 * Leaves the file, checked, in the snapshot of the commit. What an interruption leaves is taken up by the next call.
 * @throws InputError naming the file: refused, broken off for good, or with a wrong checksum
 */
export async function download(file: HubFile, transfer: Transfer): Promise<void> {
  const { cache, commit, connection, onBytes } = transfer
  if (!(await cache.has(file, commit))) {
    await cache.prepare(file)
    await withFileLock(cache.lock(file.digest), connection.signal, async () => {
      // Another process may have brought it while this one waited; or another revision holds the same content.
      if (!(await cache.hasBlob(file))) await fetchBlob(file, transfer)
      await cache.link(file, commit)
    })
  }
  onBytes(file.size, 0)
}

async function fetchBlob(file: HubFile, transfer: Transfer): Promise<void> {
  const partial = await PartialFile.open(transfer.cache.blob(file.digest), file)
  try {
    for (;;) {
      const { resumed } = partial
      if (!partial.complete) await fetchRest(partial, file, transfer)
      if (await partial.finish()) return
      // The fault may lie in what was there before: once more, from the start.
      if (!resumed) {
        await partial.discard()
        throw wrongChecksum(file, transfer)
      }
      await partial.restart()
    }
  } finally {
    await partial.close()
  }
}

/** Takes up a broken transfer where it broke, until several tries in a row bring nothing. */
async function fetchRest(partial: PartialFile, file: HubFile, transfer: Transfer): Promise<void> {
  const { connection } = transfer
  for (let failures = 0; !partial.complete; ) {
    const before = partial.bytes
    const broken = await transferOnce(partial, file, transfer)
    if (partial.complete) return
    if (connection.signal?.aborted) throw abortError()
    failures = partial.bytes > before ? 1 : failures + 1
    if (failures >= tries) throw brokenOff(partial, file, transfer, broken)
    const seconds = waitAfter(failures, connection.settings)
    connection.onWait?.({ why: `${file.path}: ${broken}`, seconds, attempt: failures, tries })
    await pause(seconds, connection.signal)
  }
}

function brokenOff(partial: PartialFile, file: HubFile, { cache }: Transfer, why: string): HubUnreachable {
  return new HubUnreachable(
    `the download of ${file.path} of ${describeRepo(cache.repo)} broke off after ${partial.bytes} of ${file.size} bytes ` +
      `(${why}); the same command goes on from there`,
  )
}

/** @returns why it ended before the file did */
async function transferOnce(partial: PartialFile, file: HubFile, transfer: Transfer): Promise<string> {
  const { connection, cache, onBytes } = transfer
  const { settings, signal } = connection
  const stalled = new AbortController()
  const timer = setTimeout(() => stalled.abort(), settings.timeoutSeconds * 1000)
  try {
    const response = await request(urlOf(file, transfer), connection, {
      subject: { repo: cache.repo, path: file.path },
      signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal,
      init: {
        // A compressed answer has no byte ranges to go on from.
        headers: {
          'accept-encoding': 'identity',
          ...(partial.bytes > 0 && { range: `bytes=${partial.bytes}-` }),
        },
      },
    })
    if (partial.bytes > 0 && !startsAt(response, partial.bytes)) await partial.restart()
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      if (partial.bytes + chunk.length > file.size) return tooLong(partial, file)
      await partial.append(chunk)
      onBytes(partial.bytes, chunk.length)
    }
    return 'the connection was closed'
  } catch (error) {
    if (error instanceof HubUnreachable && partial.bytes > 0) {
      throw brokenOff(partial, file, transfer, error.message)
    }
    if (error instanceof InputError) throw error
    return stalled.signal.aborted ? `nothing came for ${settings.timeoutSeconds} s` : networkReason(error)
  } finally {
    clearTimeout(timer)
  }
}

/** A server that knows no ranges sends the whole file, with status 200. */
function startsAt(response: Response, byte: number): boolean {
  return (
    response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${byte}-`) === true
  )
}

async function tooLong(partial: PartialFile, file: HubFile): Promise<string> {
  await partial.restart()
  return `more came than the ${file.size} bytes that are listed`
}

function wrongChecksum(file: HubFile, { cache }: Transfer): InputError {
  return new InputError(
    `${file.path} of ${describeRepo(cache.repo)} came with a wrong checksum, not ${file.digest}; nothing of it was kept`,
  )
}

function urlOf({ path }: HubFile, { cache: { repo }, commit, connection }: Transfer): string {
  const repoPath = repo.type === 'dataset' ? `datasets/${repo.name}` : repo.name
  const escaped = path.split('/').map(encodeURIComponent).join('/')
  return `${connection.settings.endpoint}/${repoPath}/resolve/${commit}/${escaped}`
}
