import type { Argv } from 'yargs'
import { readAnyScores } from '../../formats/detect.js'
import { mainPanel, panelsOf } from '../../report/panels.js'
import { writeReport } from '../../report/report.js'
import { budgetOf } from '../../scores/budget.js'
import { budgetFrom, budgetOptions, budgetText } from '../budget-options.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { checkFolderOut } from '../out-option.js'
import { printJson, printLine, printText } from '../output.js'
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
          against: { type: 'string', describe: 'Scores of another method, in any format, to compare with' },
          pictures: { type: 'boolean', default: false, describe: 'Write every picture of the page, too' },
          ...budgetOptions,
          title: { type: 'string', describe: "Heading (default: the model's name)" },
          ...forceOption,
        })
        .example('$0 report head_scores/nano -o reports/nano', 'Every data set and the merged scores')
        .example('$0 report llama.arrow --against attn_patterns/Llama-3.1 -o out', 'Next to a pattern'),
    async (args) => {
      const { files, out, title, force, json, pictures } = args
      checkFolderOut(out)
      const cost = budgetFrom(args)
      const scores = await Promise.all((await scoreFiles(files)).map((file) => readAnyScores(file)))
      const against = args.against === undefined ? undefined : await readAnyScores(args.against)
      const { tokens, ...budget } = cost
      const paths = await writeReport(scores, out, {
        ...budget,
        force,
        pictures,
        ...(tokens && { tokens }),
        ...(against && { against }),
        ...(title !== undefined && { title }),
      })
      const { scores: main } = mainPanel(panelsOf(scores))
      if (json) printJson({ ...paths, budget: budgetOf(main, cost).budget })
      else {
        for (const path of [paths.svg, paths.png, paths.html, ...paths.pictures]) printLine(path)
        printText(`\n${budgetText(main, cost)}`)
      }
    },
  )
}
