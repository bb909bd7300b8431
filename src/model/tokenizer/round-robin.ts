/** Jobs of one process take turns: a short one waits for one slice of the others, and not for their end. */

import { InputError, printable } from '../../errors.js'
import { bounded, TimeLimit } from './bounded.js'
import { raisesTime, secondsFor } from './limits.js'

export interface Job {
  id: number
  /** For messages. */
  file: string
  /** `tokenise a text of 45 characters` */
  task: string
  /** Characters that it has to do with. */
  characters: number
  steps: Generator<void, unknown>
}

export interface Outcome {
  /** What it returned, unless `error` says why there is nothing. */
  value?: unknown
  error?: string
}

/** A job goes on for so long before the next has its turn. */
const sliceMilliseconds = 8

export class RoundRobin {
  /** A short job is done with its first slice. */
  private readonly fresh: Job[] = []
  private readonly begun: (Job & { spent: number })[] = []
  private awake = false

  constructor(
    private readonly seconds: number,
    private readonly done: (job: Job, outcome: Outcome) => void,
  ) {}

  get idle(): boolean {
    return !this.awake
  }

  add(job: Job): void {
    this.fresh.push(job)
    if (this.awake) return
    this.awake = true
    setImmediate(this.runNext)
  }

  /** A job that nobody waits for any more. */
  cancel(id: number): void {
    for (const jobs of [this.fresh, this.begun]) {
      const at = jobs.findIndex((job) => job.id === id)
      if (at >= 0) jobs.splice(at, 1)
    }
  }

  private readonly runNext = (): void => {
    const fresh = this.fresh.shift()
    const job = fresh ? { ...fresh, spent: 0 } : this.begun.shift()
    if (job) this.slice(job)
    this.awake = this.fresh.length + this.begun.length > 0
    // Between slices, what has come in is read.
    if (this.awake) setImmediate(this.runNext)
  }

  private slice(job: Job & { spent: number }): void {
    const { seconds } = this
    const total = secondsFor(seconds, job.characters)
    const started = performance.now()
    try {
      const result = bounded(() => runFor(job.steps, sliceMilliseconds), Math.min(seconds, total - job.spent))
      job.spent += (performance.now() - started) / 1000
      if (result.done) this.done(job, { value: result.value })
      else if (job.spent >= total) throw new TimeLimit()
      else this.begun.push(job)
    } catch (error) {
      this.done(job, { error: sentenceOf(error, job, seconds) })
    }
  }
}

/** What cannot be done in steps. */
export function* once<T>(act: () => T): Generator<void, T> {
  yield
  return act()
}

function runFor(steps: Job['steps'], milliseconds: number): IteratorResult<void, unknown> {
  const end = performance.now() + milliseconds
  for (;;) {
    const result = steps.next()
    if (result.done || performance.now() >= end) return result
  }
}

function sentenceOf(error: unknown, { file, task, characters }: Job, seconds: number): string {
  if (error instanceof InputError) return error.message
  if (error instanceof TimeLimit)
    return `${file} takes more than ${secondsFor(seconds, characters)} s to ${task}; ${raisesTime}`
  return `${file} cannot ${task}: ${printable((error as Error).message, 200)}`
}
