/** How far long work is, on stderr: a bar on a terminal, lines in a log. Stdout belongs to the results. */

import type { Options } from 'yargs'
import type { Progress } from '../engine/job.js'
import { InputError } from '../errors.js'
import type { HubWait } from '../hub/retry.js'
import type { DownloadProgress } from '../hub/transfers.js'
import { formatBytes, formatSeconds } from './output.js'
import { ProgressBar } from './progress-bar.js'
import { ProgressLines } from './progress-lines.js'
import { Step } from './progress-step.js'

const kinds = ['plain', 'bar', 'none'] as const
export type ProgressKind = (typeof kinds)[number]

export const progressOption = {
  progress: {
    choices: kinds,
    describe:
      'How long work tells on stderr how far it is: lines, a bar, nothing (default: HEADZIP_PROGRESS, else bar on a terminal and plain elsewhere)',
  },
} as const satisfies Record<string, Options>

/** What was asked for, else what stderr can show. @throws InputError for a bar where none can be drawn */
export function progressKind(asked: ProgressKind | undefined): ProgressKind {
  const variable = process.env.HEADZIP_PROGRESS || undefined
  const wanted = asked ?? kinds.find((kind) => kind === variable)
  if (asked === undefined && variable !== undefined && wanted === undefined)
    throw new InputError(`HEADZIP_PROGRESS must be plain, bar or none, got '${variable}'`)
  // A dumb terminal cannot move its cursor back.
  const drawable = process.stderr.isTTY === true && process.env.TERM !== 'dumb'
  if (wanted === 'bar' && !drawable)
    throw new InputError('--progress bar needs stderr to be a terminal that can redraw a line: use plain')
  return wanted ?? (drawable ? 'bar' : 'plain')
}

interface Display {
  begin(step: Step): void
  change(step: Step): void
  say(step: Step, text: string): void
  end(step: Step, finished: boolean): void
}

const silent: Display = { begin() {}, change() {}, say() {}, end() {} }
/** One of each, so that a step within a step takes its place, and lines keep their pace over many short steps. */
const displays: Record<ProgressKind, Display> = {
  plain: new ProgressLines(),
  bar: new ProgressBar(),
  none: silent,
}

/** Steps of one piece of work, one after another. */
export class Steps {
  private readonly display: Display
  private step: Step | undefined

  constructor(asked: ProgressKind | undefined) {
    this.display = displays[progressKind(asked)]
  }

  /** Ends the step before. */
  begin(label: string): void {
    this.end()
    this.step = new Step(label)
    this.display.begin(this.step)
  }

  /** @param more what else a step knows of itself */
  update({ done }: Progress, more: Partial<Pick<Step, 'note' | 'gained' | 'bytes'>> = {}): void {
    if (!this.step) return
    Object.assign(this.step, { done, gained: done, ...more })
    this.display.change(this.step)
  }

  /** What is out of the ordinary. */
  say(text: string): void {
    if (this.step) this.display.say(this.step, text)
  }

  end(finished = true): void {
    if (this.step) this.display.end(this.step, finished)
    this.step = undefined
  }
}

/** Runs a job of several steps; each begins with `begin`. */
export async function withSteps<T>(
  asked: ProgressKind | undefined,
  job: (steps: Steps) => Promise<T>,
): Promise<T> {
  const steps = new Steps(asked)
  let finished = false
  try {
    const result = await job(steps)
    finished = true
    return result
  } finally {
    steps.end(finished)
  }
}

/** Runs a job of one step. */
export function withProgress<T>(
  label: string,
  asked: ProgressKind | undefined,
  job: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  return withSteps(asked, (steps) => {
    steps.begin(label)
    return job((progress) => steps.update(progress))
  })
}

export interface DownloadCallbacks {
  onProgress: (progress: DownloadProgress) => void
  onWait: (wait: HubWait) => void
}

/** Runs what may have to download something first. */
export function withDownload<T>(
  name: string,
  asked: ProgressKind | undefined,
  job: (callbacks: DownloadCallbacks) => Promise<T>,
): Promise<T> {
  return withSteps(asked, (steps) => {
    steps.begin(name)
    return job({
      onProgress: (progress) => {
        const { bytes, fetched, total } = progress
        const note = `${formatBytes(bytes)} of ${formatBytes(total)}`
        steps.update(progress, { note, gained: total === 0 ? 1 : fetched / total, bytes: fetched })
      },
      onWait: ({ why, seconds, attempt, tries }) =>
        steps.say(`${why}; trying again in ${formatSeconds(seconds)} (${attempt} of ${tries} tries made)`),
    })
  })
}
