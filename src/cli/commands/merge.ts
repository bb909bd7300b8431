import type { Argv } from 'yargs'
import { checkWritable } from '../../files/write.js'
import { readAnyScores } from '../../formats/detect.js'
import { writeScores } from '../../scores/arrow.js'
import { budgetOf } from '../../scores/budget.js'
import { mergeScores, mergesTo } from '../../scores/merge.js'
import { budgetFrom, budgetOptions, budgetText } from '../budget-options.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { fileOut } from '../out-option.js'
import { printJson, printLine, printText } from '../output.js'
import { scoreFiles } from '../score-files.js'

export function merge(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'merge <files..>',
    'Merge head scores of several samples or data sets by their maximum',
    (args) =>
      args
        .positional('files', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Score files in any format, or folders of them',
        })
        .options({
          out: {
            alias: 'o',
            type: 'string',
            demandOption: true,
            describe: 'File to write, or - for standard output',
          },
          ...budgetOptions,
          ...forceOption,
        })
        .example('$0 merge head_scores/nano -o head_scores/nano/merged.arrow', 'All scores in the folder'),
    async (args) => {
      const cost = budgetFrom(args)
      const write = fileOut(args.out, args)
      await checkWritable(args.out, write)
      const files = await scoreFiles(args.files, { except: args.out, unmerged: true })
      const merged = mergeScores(await Promise.all(files.map(readAnyScores)))
      await writeScores(args.out, merged, write)
      const { layers, kvHeads, positions, provenance } = merged
      if (args.json) {
        const { budget } = budgetOf(merged, cost)
        printJson({ file: args.out, from: files, layers, kvHeads, positions, ...provenance, budget })
      } else {
        const sources = provenance.sources.map(({ data, index }) => `${data}-${index}`).join(', ')
        printLine(
          `${args.out}: ${layers} layers x ${kvHeads} KV heads, the ${mergesTo(merged)} over ${sources}`,
        )
        printText(`\n${budgetText(merged, cost)}`)
      }
    },
  )
}
