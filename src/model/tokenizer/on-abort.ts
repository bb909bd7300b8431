/** Many calls may wait for one signal, and Node warns where more than ten listen: they share a listener. */
export class AbortListeners {
  private readonly calls = new Map<AbortSignal, Set<() => void>>()

  /** @param cancel called once when the signal aborts @returns forgets it */
  add(signal: AbortSignal | undefined, cancel: () => void): () => void {
    if (!signal) return () => {}
    let waiting = this.calls.get(signal)
    if (!waiting) {
      waiting = new Set()
      this.calls.set(signal, waiting)
      signal.addEventListener('abort', this.abort, { once: true })
    }
    waiting.add(cancel)
    return () => this.remove(signal, cancel)
  }

  private remove(signal: AbortSignal, cancel: () => void): void {
    const waiting = this.calls.get(signal)
    if (!waiting?.delete(cancel) || waiting.size > 0) return
    this.calls.delete(signal)
    signal.removeEventListener('abort', this.abort)
  }

  private readonly abort = ({ target }: Event): void => {
    const waiting = this.calls.get(target as AbortSignal)
    this.calls.delete(target as AbortSignal)
    for (const cancel of waiting ?? []) cancel()
  }
}
