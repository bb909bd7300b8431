import yargs, { type Argv } from 'yargs'
import { version } from '../engine/version.js'
import { ask } from './commands/ask.js'
import { bench } from './commands/bench.js'
import { compare } from './commands/compare.js'
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
]

/** Options that may be given several times; any other given twice is a mistake. */
const lists = ['query', 'files', 'folders', 'stop', 'tokens', 'sweeps']

export function buildCli(): Argv<GlobalOptions> {
  const cli = yargs()
    .scriptName('headzip')
    .usage(
      '$0 <command>\n\nFinds which attention heads need their long-context KV cache, and drops the rest.',
    )
    .option('json', { type: 'boolean', default: false, describe: 'Print one JSON value instead of text' })
    .options(progressOption)
    .option('verbose', { type: 'boolean', default: false, describe: 'Show stack traces of errors' })
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
      return true
    })
    .fail((message, error) => {
      throw error ?? new UsageError(`${oneLine(message)}; see headzip --help`)
    })
  return commands
    .reduce((parser, register) => register(parser), cli)
    .demandCommand(1, 'Name a command')
    .strictCommands()
    .strict()
}

/** yargs breaks its messages into lines, and speaks of non-option arguments. */
function oneLine(message: string): string {
  return message
    .replace(/^Not enough non-option arguments.*/, 'The command needs more arguments')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
}
