/** Progress as a bar on a terminal: of the innermost step, gone when it ends. */

import { SingleBar } from 'cli-progress'
import { escapeText } from '../escape.js'
import type { Step } from './progress-step.js'

/** Short work shows nothing. */
const showAfter = 2
/** A bar moves on without news, too: its time does. */
const redrawMilliseconds = 500

export class ProgressBar {
  private readonly steps: Step[] = []
  private bar: SingleBar | undefined
  private timer: NodeJS.Timeout | undefined

  begin(step: Step): void {
    this.hide()
    this.steps.push(step)
    this.timer ??= setInterval(() => this.change(this.steps.at(-1)!), redrawMilliseconds).unref()
  }

  change(step: Step): void {
    if (step !== this.steps.at(-1) || step.done >= 1) return
    if (this.bar || step.seconds >= showAfter) this.draw(step, step.note)
  }

  say(step: Step, text: string): void {
    if (step === this.steps.at(-1)) this.draw(step, text)
  }

  end(step: Step): void {
    if (step === this.steps.at(-1)) this.hide()
    this.steps.splice(this.steps.lastIndexOf(step), 1)
    if (this.steps.length > 0) return
    clearInterval(this.timer)
    this.timer = undefined
  }

  private draw(step: Step, note: string): void {
    const percent = Math.floor(step.done * 100)
    const payload = {
      label: step.label === '' ? '' : `${escapeText(step.label)} `,
      note: note === '' ? '' : `${escapeText(note)}  `,
      left: step.left || (step.done === 0 ? `${step.took} so far` : ''),
    }
    if (this.bar) {
      this.bar.update(percent, payload)
      return
    }
    this.bar = new SingleBar({
      format: '{label}[{bar}] {percentage}%  {note}{left}',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      // Its own handling of Ctrl-C would end the process before the job has stopped.
      gracefulExit: false,
    })
    this.bar.start(100, percent, payload)
  }

  private hide(): void {
    this.bar?.stop()
    this.bar = undefined
  }
}
