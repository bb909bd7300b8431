import yargs, { type Argv, type Options } from 'yargs'
import { version } from '../engine/version.js'
import { type CommandInfo, recordCommands } from './command-info.js'
import { ask } from './commands/ask.js'
import { bench } from './commands/bench.js'
import { compare } from './commands/compare.js'
import { completion } from './commands/completion.js'
import { convert } from './commands/convert.js'
import { data } from './commands/data.js'
import { demo } from './commands/demo.js'
import { doctor } from './commands/doctor.js'
import { download } from './commands/download.js'
import { evaluation } from './commands/eval.js'
import { exportCommand } from './commands/export.js'
import { importCommand } from './commands/import.js'
import { merge } from './commands/merge.js'
import { models } from './commands/models.js'
import { profile } from './commands/profile.js'
import { report } from './commands/report.js'
import { results } from './commands/results.js'
import { score } from './commands/score.js'
import { serve } from './commands/serve.js'
import { stability } from './commands/stability.js'
import { verify } from './commands/verify.js'
import type { GlobalOptions } from './options.js'
import { progressKind, progressOption } from './progress.js'
import { usageMistake, valueMissing } from './usage-mistakes.js'

/** The command line itself was wrong. */
export class UsageError extends Error {}

const commands = [
  score,
  merge,
  compare,
  stability,
  importCommand,
  exportCommand,
  convert,
  report,
  ask,
  profile,
  serve,
  evaluation,
  results,
  data,
  verify,
  demo,
  models,
  download,
  bench,
  doctor,
  completion,
]

/** Options that may be given several times; any other given twice is a mistake. */
const lists = ['query', 'files', 'folders', 'stop', 'tokens', 'sweeps']

const globalOptions = {
  json: { type: 'boolean', default: false, describe: 'Print one JSON value instead of text' },
  ...progressOption,
  verbose: { type: 'boolean', default: false, describe: 'Show stack traces of errors' },
} as const satisfies Record<string, Options>

/** Every command with its arguments, options and examples. */
export function commandTree(): CommandInfo {
  return recordCommands(commands, globalOptions)
}

/** @param words of the command line, for messages about it */
export function buildCli(words: readonly string[] = []): Argv<GlobalOptions> {
  const cli = yargs()
    .scriptName('headzip')
    .usage(
      '$0 <command>\n\nFinds which attention heads need their long-context KV cache, and drops the rest.',
    )
    .options(globalOptions)
    .parserConfiguration({ 'greedy-arrays': false })
    .locale('en')
    .version(version)
    .wrap(Math.min(110, process.stdout.columns || 110))
    .exitProcess(false)
    .check((args) => {
      progressKind(args.progress)
      const twice = Object.keys(args).find(
        (key) => Array.isArray(args[key]) && key !== '_' && !lists.includes(key),
      )
      if (twice !== undefined) throw new UsageError(`--${twice} is given twice`)
      const bare = valueMissing(words, commandTree())
      if (bare !== undefined) throw new UsageError(bare)
      return true
    })
    .fail((message, error) => {
      throw error ?? new UsageError(usageMistake(message, words, commandTree()))
    })
  return commands
    .reduce((parser, register) => register(parser), cli)
    .demandCommand(1, 'Name a command')
    .strictCommands()
    .strict()
}
