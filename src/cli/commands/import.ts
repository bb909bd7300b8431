import type { Argv } from 'yargs'
import { detectFormat, importScores } from '../../formats/detect.js'
import { writeScores } from '../../scores/arrow.js'
import { checkWritable } from '../../scores/files.js'
import { sourceLabel } from '../../scores/verify.js'
import { budgetFrom, budgetOptions, budgetText } from '../budget-options.js'
import { importFrom, importOptions } from '../import-options.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { fileOut } from '../out-option.js'
import { printJson, printLine, printText } from '../output.js'

export function importCommand(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'import <scores>',
    'Turn scores of another project into a score file; what they are is told from their content',
    (args) =>
      args
        .positional('scores', { type: 'string', demandOption: true, describe: 'File or folder' })
        .options({
          out: {
            alias: 'o',
            type: 'string',
            demandOption: true,
            describe: 'Score file to write (.arrow), or -',
          },
          ...importOptions,
          ...budgetOptions,
          ...forceOption,
        })
        .example('$0 import attn_patterns/Llama-2 -o llama2.arrow', "DuoAttention's folder")
        .example(
          '$0 import llama.json --kv-heads 8 -o llama.arrow',
          'Retrieval heads, maximum of each group',
        ),
    async (args) => {
      const cost = budgetFrom(args)
      const write = fileOut(args.out, args)
      await checkWritable(args.out, write)
      const format = await detectFormat(args.scores)
      const scores = await importScores(args.scores, importFrom(args))
      const { layers, kvHeads, provenance } = scores
      const words = budgetText(scores, cost)
      await writeScores(args.out, scores, write)
      if (args.json) printJson({ file: args.out, from: args.scores, format, layers, kvHeads, ...provenance })
      else {
        printLine(
          `${args.out}: ${layers} layers x ${kvHeads} KV heads of ${provenance.model}, ${sourceLabel(scores)}, ` +
            `read as ${format}`,
        )
        printText(`\n${words}`)
      }
    },
  )
}
