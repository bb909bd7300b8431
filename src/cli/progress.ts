import { SingleBar } from 'cli-progress'
import type { Progress } from '../engine/job.js'

/** Short jobs show nothing. */
const showAfterSeconds = 2

/**
 * A bar with the time left on stderr, for a job that takes longer than a moment; none where stderr is no terminal or
 * with --json.
 */
export async function withProgress<T>(
  label: string,
  quiet: boolean,
  job: (onProgress: ((progress: Progress) => void) | undefined) => Promise<T>,
): Promise<T> {
  if (quiet || !process.stderr.isTTY) return job(undefined)
  const bar = new SingleBar({
    format: `${label} [{bar}] {percentage}%  {left}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    // Its own handling of Ctrl-C would end the process before the job has stopped.
    gracefulExit: false,
  })
  const started = performance.now()
  let shown = false
  const onProgress = ({ done }: Progress): void => {
    const seconds = (performance.now() - started) / 1000
    if (!shown && seconds > showAfterSeconds && done < 1) {
      bar.start(100, 0, { left: '' })
      shown = true
    }
    const left = done > 0 ? Math.ceil((seconds / done) * (1 - done)) : undefined
    if (shown) bar.update(Math.floor(done * 100), { left: left === undefined ? '' : `${left} s left` })
  }
  try {
    return await job(onProgress)
  } finally {
    if (shown) bar.stop()
  }
}
