/** How far one piece of long work is, and the words for it. */

import { formatSeconds } from './output.js'

export class Step {
  private readonly started = performance.now()
  /** Share that is done, 0..1. */
  done = 0
  /** Of it, what this step did itself, where some was done before it: time left and rate follow its pace. */
  gained = 0
  /** Stands before the time left: `1.2 GiB of 3.0 GiB`. */
  note = ''
  /** In place of percent a second: bytes that this step brought. */
  bytes: number | undefined

  constructor(readonly label: string) {}

  /** That have passed. */
  get seconds(): number {
    return (performance.now() - this.started) / 1000
  }

  get took(): string {
    return formatSeconds(this.seconds)
  }

  /** `43 s left`; empty while nothing can be said. */
  get left(): string {
    if (!(this.gained > 0) || this.done >= 1) return ''
    const rest = Math.ceil((this.seconds / this.gained) * (1 - this.done))
    return `${rest < 60 ? `${rest} s` : formatSeconds(rest)} left`
  }

  /** `12%, 43 s left, 1.2%/s`; before the first news only the time that has passed. */
  toString(): string {
    if (this.done === 0) return [this.note, `${this.took} so far`].filter(Boolean).join(', ')
    const parts = [`${Math.floor(this.done * 100)}%`, this.note, this.left, this.rate]
    return parts.filter(Boolean).join(', ')
  }

  private get rate(): string {
    if (!(this.gained > 0)) return ''
    if (this.bytes !== undefined) return `${(this.bytes / 2 ** 20 / this.seconds).toFixed(1)} MiB/s`
    const aSecond = (100 * this.gained) / this.seconds
    const [count, unit] =
      aSecond >= 1 ? [aSecond, 's'] : aSecond * 60 >= 1 ? [aSecond * 60, 'min'] : [aSecond * 3600, 'h']
    return `${count.toFixed(1)}%/${unit}`
  }
}
