import PQueue from 'p-queue'
import { busy } from './errors.js'

/**
 * Jobs on one engine take turns, first come first served; those that wait are in JavaScript's hands, where they can
 * be counted and called off, and not on the few threads that native jobs share with files and the network.
 */
export class Turns {
  private readonly queue = new PQueue({ concurrency: 1 })

  constructor(
    /** Requests that may wait; the next one is refused. */
    private readonly most: number,
  ) {}

  /** Waiting, the running one not counted. */
  get waiting(): number {
    return this.queue.size
  }

  /** @throws ApiError when too many wait already; what the signal gives as its reason when it falls while waiting */
  async run<T>(signal: AbortSignal, job: () => Promise<T>): Promise<T> {
    if (this.queue.size >= this.most) throw busy(`${this.most} requests are waiting already; try again later`)
    return this.queue.add(job, { signal })
  }
}
