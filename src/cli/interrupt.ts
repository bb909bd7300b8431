/** Ctrl-C asks the running job to stop; the second one ends the process at once. */

const controller = new AbortController()

/** Passed to every job of a command. */
export const interruptSignal: AbortSignal = controller.signal

export function interrupted(): boolean {
  return controller.signal.aborted
}

/** @returns stops listening */
export function listenForInterrupts(): () => void {
  const onInterrupt = (): void => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', onInterrupt)
  return () => {
    process.off('SIGINT', onInterrupt)
    process.off('SIGTERM', onInterrupt)
  }
}
