/**
 * Runs one command line: what a user did wrong is one sentence and exit code 2, an interrupt is 130, a bug is 70. 141 is
 * what a shell shows of a program whose reader left before its work was done (128 + SIGPIPE).
 */

import { isUserError } from '../errors.js'
import { buildCli, UsageError } from './cli.js'

import { interrupted, listenForInterrupts, stopWork } from './interrupt.js'
import { printError, printErrorText, printNote } from './output.js'
import { endOutput, outputFailed, watchOutput } from './stdout.js'

const exitCodes = { wrongInput: 2, bug: 70, interrupted: 130, cutOff: 141 }

/** @returns the exit code */
export async function run(argv: string[]): Promise<number> {
  watchOutput(stopWork)
  const stopListening = listenForInterrupts()
  let code: number
  try {
    await buildCli(argv).parseAsync(joinLoneDashes(argv))
    code = Number(process.exitCode ?? 0)
  } catch (error) {
    code = outputFailed() ? exitCodes.cutOff : explain(error, argv.includes('--verbose'))
  } finally {
    stopListening()
  }
  const why = await endOutput()
  if (why === undefined) return code
  printNote(why)
  return exitCodes.wrongInput
}

/** `--context -` -> `--context=-`: yargs would take the dash for an argument of its own. */
function joinLoneDashes(argv: string[]): string[] {
  return argv.flatMap((arg, i) => {
    if (argv[i + 1] === '-' && isOption(arg)) return [`${arg}=-`]
    return arg === '-' && isOption(argv[i - 1]) ? [] : [arg]
  })
}

function isOption(arg = ''): boolean {
  return /^--?[a-z-]+$/.test(arg)
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
  else printError(`${before}${message}`)
  return expected ? exitCodes.wrongInput : exitCodes.bug
}
