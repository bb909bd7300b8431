import { busy } from './errors.js'

/**
 * Jobs on one engine take turns, first come first served; those that wait are in JavaScript's hands, where they can
 * be counted and called off, and not on the few threads that native jobs share with files and the network.
 * By hand, as p-queue lets the next job begin when a running one's signal falls, before that one has ended.
 */
export class JobQueue {
  private readonly queue: (() => void)[] = []
  private running = false
  private whenIdle: (() => void)[] = []

  constructor(
    /** Jobs that may wait; the next one is refused. */
    private readonly most: number,
  ) {}

  /** Jobs that wait, the running one not counted. */
  get waiting(): number {
    return this.queue.length
  }

  /** @param coming jobs that are about to wait @throws ApiError when too many wait already */
  checkRoom(coming = 0): void {
    // The first of those that come runs at once where nothing does.
    const waiting = this.queue.length + Math.max(0, this.running ? coming : coming - 1)
    if (waiting >= this.most) throw busy(`${this.most} requests are waiting already; try again later`)
  }

  /** @throws as `checkRoom` does when it has to wait; the signal's reason when it falls before the job has begun */
  async run<T>(signal: AbortSignal, job: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.running) await this.wait(signal)
    this.running = true
    try {
      return await job()
    } finally {
      this.running = false
      this.next()
    }
  }

  /** Once no job runs or waits. */
  async idle(): Promise<void> {
    if (this.running) await new Promise<void>((resolve) => this.whenIdle.push(resolve))
  }

  private wait(signal: AbortSignal): Promise<void> {
    this.checkRoom()
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        signal.removeEventListener('abort', leave)
        // Running from now on, not from when the promise has been waited for.
        this.running = true
        resolve()
      }
      const leave = (): void => {
        this.queue.splice(this.queue.indexOf(begin), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.queue.push(begin)
    })
  }

  private next(): void {
    const begin = this.queue.shift()
    if (begin) begin()
    else for (const tell of this.whenIdle.splice(0)) tell()
  }
}
