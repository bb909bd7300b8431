import type { Argv, Options } from 'yargs'
import { InputError } from '../../errors.js'
import { readAnyScores } from '../../formats/detect.js'
import type { Exported } from '../../formats/foreign.js'
import {
  type ExportOptions,
  exportScores,
  type FormatName,
  formatNames,
  formats,
} from '../../formats/formats.js'
import type { Ties } from '../../formats/ties.js'
import type { TorchType } from '../../formats/torch-tensor.js'
import { type BudgetOptions, budgetOf } from '../../scores/budget.js'
import type { HeadScores } from '../../scores/head-scores.js'
import { budgetFrom, budgetLines, budgetOptions } from '../budget-options.js'
import { forceOption, type GlobalOptions } from '../options.js'
import { checkFolderOut, fileOut } from '../out-option.js'
import { printJson, printLine, printText } from '../output.js'

/** Options of commands that write scores in a format of choice. */
export const formatOptions = {
  ties: {
    choices: ['keep', 'separate'] as const satisfies readonly Ties[],
    describe:
      'Equal scores: leave them, or set them 1e-4 apart (default: apart where readers decide by noise)',
  },
  dtype: {
    choices: ['float32', 'float16', 'bfloat16'] as const satisfies readonly TorchType[],
    default: 'float32' as TorchType,
    describe: 'kvzip: type of the tensor',
  },
  'model-layers': {
    type: 'number',
    describe:
      'Layers of a hybrid model: each gets a row (default: as recorded, or up to the last scored one)',
  },
  'query-heads': { type: 'number', describe: 'retrieval: query heads of the model' },
  ...budgetOptions,
  ...forceOption,
} as const satisfies Record<string, Options>

export interface FormatArguments {
  ties: Ties | undefined
  dtype: TorchType
  modelLayers: number | undefined
  queryHeads: number | undefined
  force: boolean
  json: boolean
}

export function formatList(): string {
  return formatNames.map((name) => `${name} (${formats[name].about})`).join(', ')
}

export function exportCommand(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'export <scores>',
    'Write head scores in the format of another project',
    (args) =>
      args
        .positional('scores', { type: 'string', demandOption: true, describe: 'Scores in any format' })
        .options({
          to: { choices: formatNames, demandOption: true, describe: formatList() },
          out: {
            alias: 'o',
            type: 'string',
            demandOption: true,
            describe: 'Folder or file to write, or - for standard output',
          },
          ...formatOptions,
        })
        .example('$0 export head_scores/nano/merged.arrow --to duo -o duo/nano', 'A DuoAttention pattern')
        .example('$0 export merged.arrow --to kvzip --dtype bfloat16 -o out', 'A .pt for KVzip'),
    async (args) => {
      const cost = budgetFrom(args)
      const scores = await readAnyScores(args.scores)
      const exported = await writeAs(scores, args.to, args.out, args, cost)
      printExported(exported, scores, cost, args.json)
    },
  )
}

export async function writeAs(
  scores: HeadScores,
  to: FormatName,
  path: string,
  args: FormatArguments,
  cost: BudgetOptions,
): Promise<Exported> {
  const { ties, dtype, modelLayers, queryHeads } = args
  if (modelLayers !== undefined && !Number.isInteger(modelLayers))
    throw new InputError(`--model-layers must be a whole number, got ${modelLayers}`)
  const { ratio, rule, sink, recent } = cost
  const { makes }: { makes: 'file' | 'folder' } = formats[to]
  if (makes === 'folder') checkFolderOut(path)
  const options: ExportOptions = {
    dtype,
    ...fileOut(path, args),
    ratio,
    ...(rule && { rule }),
    ...(sink !== undefined && { sink }),
    ...(recent !== undefined && { recent }),
    ...(ties && { ties }),
    ...(modelLayers !== undefined && { modelLayers }),
    ...(queryHeads !== undefined && { queryHeads }),
  }
  const exported = await exportScores(scores, to, path, options)
  return path === '-' ? { ...exported, files: [] } : exported
}

export function printExported(
  exported: Exported,
  scores: HeadScores,
  cost: BudgetOptions,
  json: boolean,
): void {
  const { budget } = budgetOf(scores, { ...cost, ...exported.windows })
  if (json) {
    printJson({ ...exported, budget })
    return
  }
  for (const file of exported.files) printLine(file)
  printText(`\n${budgetLines(budget)}\n`)
  printLine(exported.statement)
  for (const warning of exported.warnings) printLine(`note: ${warning}`)
}
