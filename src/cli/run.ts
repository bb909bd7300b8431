/** Runs one command line: what a user did wrong is one sentence and exit code 2, an interrupt is 130, a bug is 70. */

import { isUserError } from '../errors.js'
import { buildCli, UsageError } from './cli.js'
import { interrupted, listenForInterrupts } from './interrupt.js'
import { printErrorText, printNote } from './output.js'

const exitCodes = { wrongInput: 2, bug: 70, interrupted: 130 }

/** @returns the exit code */
export async function run(argv: string[]): Promise<number> {
  // `headzip ... | head` closes our output early; that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  const stopListening = listenForInterrupts()
  try {
    await buildCli().parseAsync(joinLoneDashes(argv))
    return Number(process.exitCode ?? 0)
  } catch (error) {
    return explain(error, argv.includes('--verbose'))
  } finally {
    stopListening()
  }
}

/** `--context -` -> `--context=-`: yargs would take the dash for an argument of its own. */
function joinLoneDashes(argv: string[]): string[] {
  return argv.flatMap((arg, i) => {
    if (argv[i + 1] === '-' && /^--?[a-z-]+$/.test(arg)) return [`${arg}=-`]
    return arg === '-' && i > 0 ? [] : [arg]
  })
}

function explain(error: unknown, verbose: boolean): number {
  if (interrupted()) {
    printNote('Interrupted; nothing half-written is left.')
    return exitCodes.interrupted
  }
  const expected = error instanceof UsageError || isUserError(error)
  const message = error instanceof Error ? error.message : String(error)
  const stack = error instanceof Error && error.stack ? error.stack : message
  const before = expected ? '' : 'headzip failed in a way it should not: '
  if (verbose) printErrorText(`${before}${stack}`)
  else printNote(`${before}${message}`)
  return expected ? exitCodes.wrongInput : exitCodes.bug
}
