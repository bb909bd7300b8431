/** Ctrl-C asks the running job to stop; the second one ends the process at once. */

const controller = new AbortController()

/** Passed to every job of a command. */
export const interruptSignal: AbortSignal = controller.signal

/** Who deals with Ctrl-C instead, for a while. */
let takenBy: (() => void) | undefined

/** Ends the running job as Ctrl-C does. */
export function stopWork(): void {
  controller.abort()
}

export function interrupted(): boolean {
  return controller.signal.aborted
}

/** Ctrl-C goes to `handler`; SIGTERM does not. @returns gives it back */
export function takeInterrupts(handler: () => void): () => void {
  takenBy = handler
  return () => {
    takenBy = undefined
  }
}

/** @returns stops listening */
export function listenForInterrupts(): () => void {
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  const onInterrupt = (): void => (takenBy ?? stop)()
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', stop)
  return () => {
    process.off('SIGINT', onInterrupt)
    process.off('SIGTERM', stop)
  }
}
