import type { Argv } from 'yargs'
import { checkRatio } from '../../errors.js'
import { readAnyScores } from '../../formats/detect.js'
import { writeReport } from '../../report/report.js'
import type { SelectionRule } from '../../scores/select.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { printJson, printLine } from '../output.js'
import { scoreFiles } from '../score-files.js'

export function report(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'report <files..>',
    'Draw head scores as a heatmap (SVG, PNG) and one HTML page',
    (args) =>
      args
        .positional('files', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Score files of one model, or a folder of them',
        })
        .options({
          out: { alias: 'o', type: 'string', demandOption: true, describe: 'Folder to write into' },
          ratio: {
            type: 'number',
            default: 0.6,
            describe: 'Share of KV heads kept; the others are crossed out',
          },
          selection: {
            choices: ['exact', 'published'] as const satisfies readonly SelectionRule[],
            default: 'exact' as SelectionRule,
            describe: "Keep exactly that share, or follow the published rule's threshold",
          },
          title: { type: 'string', describe: "Heading (default: the model's name)" },
          ...forceOption,
        })
        .example('$0 report head_scores/nano -o reports/nano', 'Every data set and the merged scores'),
    async ({ files, out, ratio, selection, title, force, json }) => {
      checkRatio(ratio, '--ratio')
      const scores = await Promise.all((await scoreFiles(files)).map(readAnyScores))
      const options = { ratio, rule: selection, force, ...(title !== undefined && { title }) }
      const paths = await writeReport(scores, out, options)
      if (json) printJson(paths)
      else for (const path of Object.values(paths)) printLine(path)
    },
  )
}
