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
  private readonly silent: boolean

  constructor(
    silent: boolean,
    private readonly label = '',
  ) {
    this.silent = silent || !process.stderr.isTTY
  }

  /**
   * @param note stands before the time left
   * @param gained share that this step did itself, where some was done before it: the time left follows its pace
   */
  update({ done }: Progress, note = '', gained = done): void {
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
    const rest = Math.ceil((seconds / gained) * (1 - done))
    const left = gained > 0 ? `${rest < 60 ? `${rest} s` : formatSeconds(rest)} left` : ''
    this.bar.update(Math.floor(done * 100), { note: note && `${note}  `, left })
  }

  /** Takes the bar away; the next update belongs to a new step. */
  stop(): void {
    this.bar?.stop()
    this.bar = undefined
    this.started = performance.now()
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
    return await job((progress) => {
      const { bytes, fetched, total } = progress
      bar.update(progress, `${formatBytes(bytes)} of ${formatBytes(total)}`, fetched / total)
    })
  } finally {
    bar.stop()
  }
}
