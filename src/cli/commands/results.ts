import type { Argv } from 'yargs'
import { mergeResultFolders } from '../../eval/merge-results.js'
import { readResults } from '../../eval/store.js'
import { summarize } from '../../eval/summary.js'
import { formatSummary, type TableFormat, tableFormats } from '../../eval/table.js'
import { writeResultFiles } from '../../eval/write-results.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { checkFolderOut } from '../out-option.js'
import { printJson, printLine, printText } from '../output.js'

export function results(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command('results', 'Tables and curves of what headzip eval answered; or merge shards', (args) =>
    args
      .command(
        'merge <folders..>',
        'Merge the results of shards that ran apart',
        mergeOptions,
        async (own) => {
          checkFolderOut(own.out)
          const files = await mergeResultFolders(own.folders, own.out)
          if (own.json) printJson({ out: own.out, files })
          else printLine(`${own.out}: ${files.length} samples`)
        },
      )
      .command(
        ['show <folders..>', '$0'],
        'Mean, standard error and share of the full cache, by ratio, data set and level',
        showOptions,
        async ({ folders, format, out, publishedEmpty, force, json }) => {
          checkFolderOut(out)
          const found = (await readResults(folders)).map(({ result }) => result)
          const rows = await summarize(found, { empty: publishedEmpty ? 'published' : 'zero' })
          const files = out === undefined ? [] : await writeResultFiles(rows, found, out, { force })
          if (json) printJson({ rows, files })
          else {
            printText(formatSummary(rows, format).trimEnd())
            for (const file of files) printLine(file)
          }
        },
      )
      .demandCommand(0),
  )
}

const folders = {
  type: 'string',
  array: true,
  demandOption: true,
  describe: 'Folders that headzip eval wrote, or files in them',
} as const

function mergeOptions(args: Argv<GlobalOptions>) {
  return args
    .positional('folders', folders)
    .options({ out: { alias: 'o', type: 'string', demandOption: true, describe: 'Folder to write into' } })
    .example('$0 results merge shard-0 shard-1 -o results', 'One folder of all samples')
}

function showOptions(args: Argv<GlobalOptions>) {
  return args
    .positional('folders', folders)
    .options({
      format: {
        choices: tableFormats,
        default: 'markdown' as TableFormat,
        describe: 'How the table is printed',
      },
      out: { alias: 'o', type: 'string', describe: 'Folder for the table and curves as files' },
      'published-empty': {
        type: 'boolean',
        default: false,
        describe:
          'Leave empty answers out of the mean where the published evaluation does, instead of counting 0',
      },
      ...forceOption,
    })
    .example('$0 results results/nano', 'The table')
    .example(
      '$0 results results -o reports/nano',
      'Also accuracy.svg, .png, .html, .csv, .json and needle.svg',
    )
}
