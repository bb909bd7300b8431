/** Watches a native job: progress by polling, so that the engine never calls into JavaScript. */

import { withPrintableMessage } from '../errors.js'
import type { NativeJob } from './binding.js'

export interface Progress {
  /** Share of the work that is done, 0..1; proportional to time. */
  done: number
}

export interface JobOptions {
  onProgress?: ((progress: Progress) => void) | undefined
  signal?: AbortSignal | undefined
}

const pollMilliseconds = 100

/** @throws what the job throws; an abort gives an Error with code HEADZIP_ABORTED */
export async function watch<T>(start: () => NativeJob<T>, options: JobOptions = {}): Promise<T> {
  const { onProgress, signal } = options
  if (signal?.aborted) throw abortError()
  const job = start()
  const abort = (): void => job.abort()
  signal?.addEventListener('abort', abort, { once: true })
  const timer = onProgress && setInterval(() => report(job, onProgress), pollMilliseconds)
  try {
    const result = await job.promise
    onProgress?.({ done: 1 })
    return result
  } catch (error) {
    throw withPrintableMessage(error)
  } finally {
    clearInterval(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function report(job: NativeJob<unknown>, onProgress: (progress: Progress) => void): void {
  const [done, total] = job.progress()
  // The plan's estimate may run a little over; it is not finished before it is.
  if (total > 0) onProgress({ done: Math.min(done / total, 0.999) })
}

export function abortError(): Error {
  return Object.assign(new Error('the job was aborted'), { code: 'HEADZIP_ABORTED' })
}
