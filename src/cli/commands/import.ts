import type { Argv } from 'yargs'
import { checkWritable } from '../../files/write.js'
import { findScores, importScores } from '../../formats/detect.js'
import { writeScores } from '../../scores/arrow.js'
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
        .positional('scores', {
          type: 'string',
          demandOption: true,
          describe: 'File, or folder as headzip export writes one',
        })
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
        .example('$0 import out -o back.arrow', 'The folder of headzip export --to kvzip -o out')
        .example('$0 import attn_patterns/Llama-2 -o llama2.arrow', "DuoAttention's folder")
        .example(
          '$0 import llama.json --kv-heads 8 -o llama.arrow',
          'Retrieval heads, maximum of each group',
        ),
    async (args) => {
      const cost = budgetFrom(args)
      const write = fileOut(args.out, args)
      await checkWritable(args.out, write)
      const { at, format } = await findScores(args.scores)
      const scores = await importScores(at, importFrom(args))
      const { layers, kvHeads, provenance } = scores
      const words = budgetText(scores, cost)
      await writeScores(args.out, scores, write)
      if (args.json) printJson({ file: args.out, from: at, format, layers, kvHeads, ...provenance })
      else {
        printLine(
          `${args.out}: ${layers} layers x ${kvHeads} KV heads of ${provenance.model}, ${sourceLabel(scores)}, ` +
            `read as ${format}${at === args.scores ? '' : ` from ${at}`}`,
        )
        printText(`\n${words}`)
      }
    },
  )
}
