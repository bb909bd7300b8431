import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { detectFormat, importScores } from '../../formats/detect.js'
import { formatNames, formatOfPath } from '../../formats/formats.js'
import { budgetFrom } from '../budget-options.js'
import { importFrom, importOptions } from '../import-options.js'
import type { GlobalOptions } from '../options.js'
import { printLine } from '../output.js'
import { formatList, formatOptions, printExported, writeAs } from './export.js'

export function convert(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'convert <from> <to>',
    'Turn scores of one format into another',
    (args) =>
      args
        .positional('from', { type: 'string', demandOption: true, describe: 'Scores in any format' })
        .positional('to', {
          type: 'string',
          demandOption: true,
          describe: 'File or folder to write, or - for standard output',
        })
        // Else yargs reads a lone dash as nothing.
        .nargs('to', 1)
        .options({
          format: {
            choices: formatNames,
            describe: `Format of the target (default: by its ending). ${formatList()}`,
          },
          ...importOptions,
          ...formatOptions,
        })
        .example('$0 convert attn_patterns/Llama-2 llama2.csv', 'A DuoAttention pattern as a table')
        .example('$0 convert llama3.1-8b-scbench_qa_eng-0.pt lserve/llama --format lserve', 'For LServe'),
    async (args) => {
      const cost = budgetFrom(args)
      const format = args.format ?? formatOfPath(args.to)
      if (!format)
        throw new InputError(
          `${args.to} does not tell its format; name it with --format, one of ${formatNames.join(', ')}`,
        )
      const from = await detectFormat(args.from)
      const scores = await importScores(args.from, importFrom(args))
      const exported = await writeAs(scores, format, args.to, args, cost)
      if (!args.json) printLine(`${args.from} (${from}) -> ${format}`)
      printExported(exported, scores, cost, args.json)
    },
  )
}
