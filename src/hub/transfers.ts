/** Several downloads at once, with one progress, and an end to all of them when one fails. */

import { download, type Transfer } from './download.js'
import type { HubFile } from './listing.js'

/** One connection seldom fills a line; many anger a server. */
const parallel = 4

export interface DownloadProgress {
  /** Share of the bytes, 0..1. */
  done: number
  /** On disk. */
  bytes: number
  /** Of them, those that this call brought. */
  fetched: number
  total: number
}

/** @throws what the first download to fail throws; what came of the others stays for the next call */
export async function downloadAll(
  files: readonly HubFile[],
  transfer: Omit<Transfer, 'onBytes'>,
  onProgress: ((progress: DownloadProgress) => void) | undefined,
): Promise<void> {
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const got = new Map<HubFile, number>()
  let bytes = 0
  let fetched = 0
  const report = (file: HubFile, now: number, came: number): void => {
    bytes += now - (got.get(file) ?? 0)
    fetched += came
    got.set(file, now)
    onProgress?.({ done: total === 0 ? 1 : bytes / total, bytes, fetched, total })
  }
  const stop = new AbortController()
  const outer = transfer.connection.signal
  const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal
  const connection = { ...transfer.connection, signal }
  const waiting = [...files]
  const failures: unknown[] = []
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file && !signal.aborted; file = waiting.shift()) {
      const one = file
      await download(one, { ...transfer, connection, onBytes: (now, came) => report(one, now, came) })
    }
  }
  await Promise.all(
    Array.from({ length: parallel }, () =>
      work().catch((error: unknown) => {
        failures.push(error)
        stop.abort()
      }),
    ),
  )
  if (failures.length > 0) throw failures[0]
}
