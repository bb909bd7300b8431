import { join } from 'node:path'
import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { checkWritable, writeFilesAtomic } from '../../files/write.js'
import { readAnyScores } from '../../formats/detect.js'
import { renderPng } from '../../report/png.js'
import { stabilityCurve } from '../../report/stability.js'
import type { HeadScores } from '../../scores/head-scores.js'
import { mergeScores, mergesTo } from '../../scores/merge.js'
import {
  type Band,
  chunkParts,
  confidenceBands,
  convergence,
  type Part,
  type Step,
  spreadOrder,
} from '../../scores/stability.js'
import { shortSourceLabel } from '../../scores/verify.js'
import { budgetFrom, budgetOptions, budgetText } from '../budget-options.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { checkFolderOut } from '../out-option.js'
import { printJson, printLine, printText, table } from '../output.js'
import { scoreFiles } from '../score-files.js'

export function stability(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'stability <files..>',
    'Tell how a ranking settles with samples, or with the chunks of one sample scored with --pairs',
    (args) =>
      args
        .positional('files', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Scores of several samples, or one file with pair scores',
        })
        .options({
          'chunk-size': { type: 'number', describe: 'Tokens a chunk of pair scores (default: as scored)' },
          orders: { type: 'number', default: 20, describe: 'Orders of samples or chunks to try' },
          seed: { type: 'number', default: 1, describe: 'Of the orders and of the confidence bands' },
          out: { alias: 'o', type: 'string', describe: 'Folder for stability.svg and stability.png' },
          ...budgetOptions,
          ...forceOption,
        })
        .example('$0 stability head_scores/nano', 'With samples')
        .example('$0 stability nano-pairs.arrow --chunk-size 500 -o reports/stability', 'With chunks'),
    async (args) => {
      checkFolderOut(args.out)
      const cost = budgetFrom(args)
      for (const [name, value] of [
        ['--orders', args.orders],
        ['--seed', args.seed],
      ] as const)
        if (!Number.isInteger(value) || value < 1)
          throw new InputError(`${name} must be a positive integer, got ${value}`)
      const out =
        args.out === undefined ? [] : ['svg', 'png'].map((end) => join(args.out!, `stability.${end}`))
      for (const path of out) await checkWritable(path, { force: args.force })
      const files = await scoreFiles(args.files, { unmerged: true })
      const scores = await Promise.all(files.map((file) => readAnyScores(file)))
      const { parts, what, merged, first } = partsOf(scores, args.chunkSize)
      const options = { ratio: cost.ratio, orders: args.orders, seed: args.seed }
      const steps = convergence(parts, options)
      const bands = confidenceBands(parts, options)
      if (out.length > 0) {
        const title = `${merged.provenance.model}, ${shortSourceLabel(merged)}`
        const svg = stabilityCurve(steps, {
          parts: what,
          title,
          ratio: cost.ratio,
          ...(first && { first }),
        })
        await writeFilesAtomic(
          [
            [out[0]!, svg],
            [out[1]!, renderPng(svg)],
          ],
          { force: args.force },
        )
      }
      if (args.json) printJson({ files: out, parts: what, ratio: cost.ratio, steps, bands })
      else {
        for (const path of out) printLine(path)
        printText(`${describe(steps, bands, what, merged, first)}\n\n${budgetText(merged, cost)}`)
      }
    },
  )
}

function partsOf(
  scores: HeadScores[],
  chunkSize: number | undefined,
): { parts: Part[]; what: string; merged: HeadScores; first?: string } {
  const [first, ...others] = scores
  if (!first) throw new InputError('stability needs scores')
  if (mergesTo(first) === 'mean')
    throw new InputError(
      `stability tells how maxima settle, but scores of ${first.provenance.method} are means`,
    )
  if (others.length > 0) return { parts: scores, what: 'samples', merged: mergeScores(scores) }
  const size = chunkSize ?? first.provenance.chunkSize
  const chunks = chunkParts(first, size)
  const parts = spreadOrder(chunks.length).map((chunk) => chunks[chunk]!)
  return { parts, what: `chunks of ${size} tokens`, merged: first, first: 'the end first, then spread' }
}

function describe(
  steps: Step[],
  bands: Band[],
  what: string,
  merged: HeadScores,
  first: string | undefined,
): string {
  const range = ({ mean, least, most }: Step['spearman']): string =>
    `${mean.toFixed(3)} (${least.toFixed(3)} to ${most.toFixed(3)})`
  const rows = steps.map((step) => [
    String(step.parts),
    range(step.spearman),
    range(step.overlap),
    ...(first ? [`${step.first.spearman.toFixed(3)}, ${step.first.overlap.toFixed(3)}`] : []),
  ])
  const header = [
    what,
    'Spearman with the final ranking',
    'final top found so far',
    ...(first ? [first] : []),
  ]
  const widest = bands
    .map((band, cell) => ({ ...band, cell, width: band.high - band.low }))
    .sort((a, b) => b.width - a.width)
  const unsure = bands.filter(({ kept }) => kept > 0.05 && kept < 0.95).length
  const heads = widest
    .slice(0, 8)
    .map(({ cell, low, high, kept }) => [
      `layer ${merged.layerIds[Math.floor(cell / merged.kvHeads)]}, KV head ${cell % merged.kvHeads}`,
      merged.max[cell]!.toFixed(4),
      `${low.toFixed(4)} to ${high.toFixed(4)}`,
      `${Math.round(100 * kept)}%`,
    ])
  return [
    table(header, rows),
    `${unsure} of ${bands.length} heads are kept in some redrawn sets and evicted in others; the widest bands:`,
    table(['head', 'score', '5% to 95%', 'kept in'], heads),
  ].join('\n\n')
}
