import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { readAnyScores } from '../../formats/detect.js'
import { budgetOf } from '../../scores/budget.js'
import { type Comparison, compareScores, overlapShares, type SideChange } from '../../scores/compare.js'
import type { HeadScores } from '../../scores/head-scores.js'
import { budgetFrom, budgetOptions, budgetText } from '../budget-options.js'
import type { GlobalOptions } from '../options.js'
import { printJson, printLine, printText, table } from '../output.js'

export function compare(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'compare <files..>',
    'Tell how far scores agree: between methods, data sets, languages, samples, models of one shape',
    (args) =>
      args
        .positional('files', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Two or more sets of scores, in any format',
        })
        .options({
          show: { type: 'number', default: 12, describe: 'Heads that change sides to list, of each pair' },
          ...budgetOptions,
        })
        .example('$0 compare natural.arrow code.arrow', 'Two data sets')
        .example('$0 compare merged.arrow attn_patterns/Llama-3.1 --ratio 0.5', 'Against DuoAttention'),
    async (args) => {
      const cost = budgetFrom(args)
      if (args.files.length < 2) throw new InputError('compare needs two sets of scores or more')
      if (!Number.isInteger(args.show) || args.show < 0)
        throw new InputError(`--show must be a whole number, got ${args.show}`)
      const scores = await Promise.all(args.files.map((file) => readAnyScores(file)))
      const pairs = pairsOf(args.files, scores, cost)
      if (args.json)
        printJson({
          pairs: pairs.map(({ a, b, comparison }) => ({ a, b, shares: overlapShares, ...comparison })),
          budgets: scores.map((each, i) => ({
            file: args.files[i],
            method: each.provenance.method,
            ...budgetOf(each, cost).budget,
          })),
        })
      else {
        printText(describe(pairs, args.show))
        for (const [i, each] of scores.entries()) {
          printLine()
          printLine(`${letter(i)}: ${args.files[i]}, scored by ${each.provenance.method}`)
          printText(budgetText(each, cost))
        }
      }
    },
  )
}

/** A, B, …, Z, then numbers: tables of long paths cannot be read. */
function letter(i: number): string {
  return i < 26 ? String.fromCharCode(65 + i) : String(i + 1)
}

interface Pair {
  /** files, and the letters that stand for them */
  a: string
  b: string
  names: [string, string]
  comparison: Comparison
}

function pairsOf(
  files: string[],
  scores: HeadScores[],
  options: Parameters<typeof compareScores>[2],
): Pair[] {
  return scores.flatMap((b, j) =>
    scores.slice(0, j).map((a, i) => ({
      a: files[i]!,
      b: files[j]!,
      names: [letter(i), letter(j)] as [string, string],
      comparison: compareScores(a, b, options),
    })),
  )
}

function describe(pairs: Pair[], show: number): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`
  const rows = pairs.map(({ names, comparison }) => [
    names.join(' '),
    comparison.spearman.toFixed(3),
    comparison.kendall.toFixed(3),
    ...comparison.overlap.map(percent),
    String(comparison.changes.length),
  ])
  const { ratio } = pairs[0]!.comparison
  const header = ['pair', 'Spearman', 'Kendall', ...overlapShares.map((share) => `top ${share}`)]
  const details = pairs.map((pair) => detail(pair, show))
  return [table([...header, `change sides at ${ratio}`], rows), ...details].join('\n\n')
}

function detail({ names, comparison: { layers, changes, ratio } }: Pair, show: number): string {
  const cells = layers.map(({ layer, agreement }) => `${layer}:${Math.round(100 * agreement)}`)
  const [a, b] = names
  const lines = [`${a} and ${b}: agreement a layer at ratio ${ratio}, in percent`, `  ${cells.join(' ')}`]
  for (const change of changes.slice(0, show)) lines.push(`  ${sideText(change, names)}`)
  if (changes.length > show) lines.push(`  and ${changes.length - show} more; --show lists them`)
  return lines.join('\n')
}

function sideText({ layer, kvHead, a, b, keptIn }: SideChange, names: [string, string]): string {
  const kept = names[keptIn === 'a' ? 0 : 1]
  return `layer ${layer}, KV head ${kvHead}: ${a.toFixed(4)} and ${b.toFixed(4)}, kept in ${kept} only`
}
