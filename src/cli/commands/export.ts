import { join } from 'node:path'
import type { Argv } from 'yargs'
import { checkRatio } from '../../errors.js'
import { readAnyScores } from '../../formats/detect.js'
import { exportDuo } from '../../formats/duo.js'
import type { Exported } from '../../formats/foreign.js'
import { exportKvzip, kvzipFileName } from '../../formats/kvzip-pt.js'
import { type Budget, budget, formatBudget } from '../../scores/budget.js'
import type { HeadScores } from '../../scores/head-scores.js'
import { selectHeads } from '../../scores/select.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { printJson, printLine } from '../output.js'

export function exportScores(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'export <scores>',
    'Write head scores in the format of another project',
    (args) =>
      args
        .positional('scores', { type: 'string', demandOption: true, describe: 'Score file' })
        .options({
          to: {
            choices: ['duo', 'kvzip'] as const,
            demandOption: true,
            describe: "DuoAttention's folder (also LServe, kvpress), or KVzip's .pt",
          },
          out: { alias: 'o', type: 'string', demandOption: true, describe: 'Folder to write into' },
          sink: { type: 'number', default: 128, describe: 'duo: first tokens a streaming head keeps' },
          recent: { type: 'number', default: 256, describe: 'duo: latest tokens a streaming head keeps' },
          ties: {
            choices: ['keep', 'separate'] as const,
            default: 'separate' as const,
            describe: 'duo: leave equal scores to chance, or set them apart',
          },
          ratio: { type: 'number', default: 0.6, describe: 'duo: share of heads kept, for the budget table' },
          tokens: {
            type: 'number',
            describe: 'duo: context length for the budget table (default: as scored)',
          },
          dtype: {
            choices: ['float32', 'float16', 'bfloat16'] as const,
            default: 'float32' as const,
            describe: 'kvzip: type of the tensor',
          },
          ...forceOption,
        })
        .example('$0 export head_scores/nano/merged.arrow --to duo -o duo/nano', 'A DuoAttention pattern')
        .example('$0 export merged.arrow --to kvzip --dtype bfloat16 -o out', 'A .pt for KVzip'),
    async (args) => {
      const { force, sink, recent, ties, dtype } = args
      const ratio = checkRatio(args.ratio, '--ratio')
      const scores = await readAnyScores(args.scores)
      if (args.to === 'kvzip') {
        return print(
          await exportKvzip(scores, join(args.out, kvzipFileName(scores)), { dtype, force }),
          args.json,
        )
      }
      const tokens = args.tokens ?? longestSource(scores)
      const { keep } = selectHeads(scores, { ratio })
      const cost = budget({ keep, ratio, sink, recent, tokens })
      print(await exportDuo(scores, args.out, { sink, recent, ties, force }), args.json, cost)
    },
  )
}

function longestSource({ provenance }: HeadScores): number | null {
  const longest = Math.max(...provenance.sources.map((source) => source.tokens))
  return longest > 0 ? longest : null
}

function print(exported: Exported, json: boolean, cost?: Budget): void {
  if (json) {
    printJson({ ...exported, ...(cost && { budget: cost }) })
    return
  }
  for (const file of exported.files) printLine(file)
  if (cost) printLine(`\n${formatBudget(cost)}`)
  printLine(`\n${exported.statement}`)
  for (const warning of exported.warnings) printLine(`note: ${warning}`)
}
