import { resolve } from 'node:path'
import type { Argv } from 'yargs'
import { packagedNames } from '../../data/sets.js'
import { escapeText } from '../../escape.js'
import { type DemoResult, runDemo } from '../../eval/demo.js'
import { parseRatio } from '../../eval/ratios.js'
import { budgetLines } from '../budget-options.js'
import { interruptSignal } from '../interrupt.js'
import { type GlobalOptions, namesIn } from '../options.js'
import { checkFolderOut } from '../out-option.js'
import { formatSeconds, printJson, printLine, printText, table } from '../output.js'
import { withSteps } from '../progress.js'

export function demo(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'demo',
    'All of it on the embedded model nano, ending with a table of right answers',
    (args) =>
      args
        .options({
          out: { alias: 'o', type: 'string', default: 'headzip-demo', describe: 'Folder to write into' },
          data: { type: 'string', default: packagedNames.join(','), describe: 'Data sets, comma-separated' },
          ratio: {
            type: 'string',
            default: '0.6',
            describe: 'Share of KV heads that keep their context, as 0.6 or 60%',
          },
          draws: { type: 'number', default: 5, describe: 'Random choices of heads to compare with' },
          all: {
            type: 'boolean',
            default: false,
            describe: 'Ask every question of every sample, which takes minutes',
          },
        })
        .example('$0 demo', 'Writes ./headzip-demo')
        .example('$0 demo --all --draws 20', 'Every question, and more random choices'),
    async ({ out, data, ratio, draws, all, json, progress }) => {
      checkFolderOut(out)
      const started = performance.now()
      const result = await withSteps(progress, (steps) =>
        runDemo({
          out,
          data: namesIn(data, '--data'),
          ratio: parseRatio(ratio),
          draws,
          all,
          signal: interruptSignal,
          onStep: (step) => {
            steps.begin(step)
            if (!json) printLine(`${step} ...`)
          },
          onProgress: (_, now) => steps.update(now),
        }),
      )
      const seconds = (performance.now() - started) / 1000
      if (json) printJson({ ...result, seconds })
      else printText(describe(result, seconds))
    },
  )
}

function describe(result: DemoResult, seconds: number): string {
  const { data, questions, rows, budget, quickStart, scoreFiles, exports, report } = result
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`
  const answers = table(
    ['question', 'full cache', rows[1]?.name ?? ''],
    quickStart.map(({ query, full, evicted }) => [query, full, evicted]),
  )
  const accuracy = table(
    ['right answers', ...data.map((name, i) => `${name} (${questions[i]} questions)`), 'KV held'],
    rows.map((row) => [row.name, ...row.accuracy.map(percent), percent(row.kv)]),
  )
  const files = [...scoreFiles, ...exports, report.svg, report.png]
    .map((file) => `  ${escapeText(file)}`)
    .join('\n')
  return `\n${answers}\n\n${accuracy}\n\n${budgetLines(budget)}\n\nWritten in ${formatSeconds(seconds)}:\n${files}\n\nThe report, to open in a browser: ${escapeText(resolve(report.html))}`
}
