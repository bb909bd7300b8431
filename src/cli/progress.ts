import { SingleBar } from 'cli-progress'
import type { Progress } from '../engine/job.js'
import type { DownloadProgress } from '../hub/transfers.js'
import { formatBytes, formatSeconds } from './output.js'

/** Short jobs show nothing. */
const showAfterSeconds = 2

/** A bar with the time left on stderr, one step after another; silent where stderr is no terminal or when told so. */
export class StepBar {
  private bar: SingleBar | undefined
  private started = performance.now()
  /** Done at the first update: what was there before says nothing about the pace. */
  private doneBefore: number | undefined
  private readonly silent: boolean

  constructor(
    silent: boolean,
    private readonly label = '',
  ) {
    this.silent = silent || !process.stderr.isTTY
  }

  /** @param note stands before the time left */
  update({ done }: Progress, note = ''): void {
    this.doneBefore ??= done < 1 ? done : undefined
    const seconds = (performance.now() - this.started) / 1000
    if (this.silent || (!this.bar && (seconds < showAfterSeconds || done >= 1))) return
    if (!this.bar) {
      this.bar = new SingleBar({
        format: `${this.label}[{bar}] {percentage}%  {note}{left}`,
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: true,
        // Its own handling of Ctrl-C would end the process before the job has stopped.
        gracefulExit: false,
      })
      this.bar.start(100, 0, { note: '', left: '' })
    }
    const gained = done - (this.doneBefore ?? 0)
    const rest = Math.ceil((seconds / gained) * (1 - done))
    const left = gained > 0 ? `${rest < 60 ? `${rest} s` : formatSeconds(rest)} left` : ''
    this.bar.update(Math.floor(done * 100), { note: note && `${note}  `, left })
  }

  /** Takes the bar away; the next update belongs to a new step. */
  stop(): void {
    this.bar?.stop()
    this.bar = undefined
    this.started = performance.now()
    this.doneBefore = undefined
  }
}

/** A bar for the time of one job. */
export async function withProgress<T>(
  label: string,
  silent: boolean,
  job: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  const bar = new StepBar(silent, `${label} `)
  try {
    return await job((progress) => bar.update(progress))
  } finally {
    bar.stop()
  }
}

/** A bar for what a model's name makes download; none where everything is on disk. */
export async function withDownload<T>(
  name: string,
  silent: boolean,
  job: (onProgress: (progress: DownloadProgress) => void) => Promise<T>,
): Promise<T> {
  const bar = new StepBar(silent, `${name} `)
  try {
    return await job((progress) =>
      bar.update(progress, `${formatBytes(progress.bytes)} of ${formatBytes(progress.total)}`),
    )
  } finally {
    bar.stop()
  }
}
