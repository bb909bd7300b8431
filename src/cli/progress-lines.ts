/** Progress as lines, for logs: one now and then, at most a minute apart, however many steps come and go. */

import { printNote } from './output.js'
import type { Step } from './progress-step.js'

/** Short work says nothing. */
const firstAfter = 2
/** Seconds between lines, at first and once the work has lasted for `longWork`. */
const interval = 10
const longInterval = 60
const longWork = 600

export class ProgressLines {
  private readonly steps: Step[] = []
  private timer: NodeJS.Timeout | undefined
  /** When the work began that the steps are part of, when its last line came, and when its last step ended. */
  private begun = 0
  private last: number | undefined
  private ended = Number.NEGATIVE_INFINITY

  begin(step: Step): void {
    const now = performance.now()
    // After a longer rest it is other work: a server's next context.
    if (this.steps.length === 0 && now - this.ended > interval * 1000) {
      this.begun = now
      this.last = undefined
    }
    this.steps.push(step)
    this.schedule()
  }

  /** News are told with the next line. */
  change(): void {}

  /** At once: what is out of the ordinary. */
  say(step: Step, text: string): void {
    this.print(`${step.label}: ${text}`)
    this.schedule()
  }

  end(step: Step, finished: boolean): void {
    this.steps.splice(this.steps.lastIndexOf(step), 1)
    if (finished && step.seconds >= interval) this.print(`${step.label}: done in ${step.took}`)
    this.ended = performance.now()
    this.schedule()
  }

  private schedule(): void {
    clearTimeout(this.timer)
    if (this.steps.length === 0) return
    const now = performance.now()
    const pause = now - this.begun < longWork * 1000 ? interval : longInterval
    const due = this.last === undefined ? this.begun + firstAfter * 1000 : this.last + pause * 1000
    // Not what keeps the process alive.
    this.timer = setTimeout(() => this.tell(), Math.max(0, due - now)).unref()
  }

  private tell(): void {
    const step = this.steps.at(-1)
    if (step) this.print(`${step.label}: ${step}`)
    this.schedule()
  }

  private print(line: string): void {
    this.last = performance.now()
    printNote(line)
  }
}
