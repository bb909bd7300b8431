/** Work that several may wait for: it is done once, and stopped when the last of them has gone. */
export class SharedWork<T> {
  private readonly controller = new AbortController()
  private readonly result: Promise<T>
  private waiting = 0
  private state: 'running' | 'done' | 'failed' = 'running'

  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.result = start(this.controller.signal)
    this.result.then(
      () => {
        this.state = 'done'
      },
      // Whoever waits is told.
      () => {
        this.state = 'failed'
      },
    )
  }

  /** It has no result and will have none. */
  get failed(): boolean {
    return this.state === 'failed' || this.controller.signal.aborted
  }

  /** @throws what the work throws, or the signal's reason when that falls before */
  async wait(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    this.waiting++
    let leave = (): void => {}
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason)
      signal.addEventListener('abort', leave, { once: true })
    })
    try {
      return await Promise.race([this.result, left])
    } finally {
      signal.removeEventListener('abort', leave)
      if (--this.waiting === 0 && this.state === 'running') this.controller.abort()
    }
  }
}
