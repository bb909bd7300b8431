/** Who uses a cache before the engine's own job has begun: a question is tokenised first. */
export class CacheUses {
  private readers = 0
  private changing = false

  /**
   * @param change the use leaves the cache changed
   * @throws Error (HEADZIP_ENGINE) while another use stands in the way
   */
  async during<T>(change: boolean, use: () => Promise<T>): Promise<T> {
    if (change) this.idle()
    else this.readable()
    this.count(change, 1)
    try {
      return await use()
    } finally {
      this.count(change, -1)
    }
  }

  /** @throws Error (HEADZIP_ENGINE) while it may be changing */
  readable(): void {
    if (this.changing) throw inUse()
  }

  /** @throws Error (HEADZIP_ENGINE) while somebody reads or changes it */
  idle(): void {
    if (this.changing || this.readers > 0) throw inUse()
  }

  private count(change: boolean, by: 1 | -1): void {
    if (change) this.changing = by > 0
    else this.readers += by
  }
}

/** The engine's own words. */
function inUse(): Error {
  return Object.assign(new Error('this cache is in use by a running job'), { code: 'HEADZIP_ENGINE' })
}
