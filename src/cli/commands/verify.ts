import type { Argv } from 'yargs'
import { escapeText } from '../../escape.js'
import { type CaseReport, type Quantity, type VerifyReport, verifyModel } from '../../verify/verify.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, type GlobalOptions, modelDescription, withModel } from '../options.js'
import { formatSeconds, printJson, printText, table } from '../output.js'
import { withProgress } from '../progress.js'

export function verify(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'verify <model>',
    'Check a model on this machine against expected logits, scores and tokens',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: modelDescription })
        .options({
          cases: {
            type: 'string',
            describe: "Folder of cases.json and expected.safetensors (default: the model's)",
          },
          'tolerance-scores': {
            type: 'number',
            describe:
              'Largest difference of a score (default: 2e-5, 5e-5 for models of more than 8 layers, 0.1 in bf16)',
          },
          'tolerance-logits': {
            type: 'number',
            describe:
              'Largest difference of a logit (default: 1e-4, 5e-4 for models of more than 8 layers, 0.25 in bf16)',
          },
          ...engineOptions,
        })
        .example('$0 verify test/fixtures/models/llama3', 'Exit code 1 when anything is past its tolerance'),
    (args) =>
      withModel(args.model, args, async (model) => {
        const report = await withProgress(`verifying ${model.description.id}`, args.progress, (onProgress) =>
          verifyModel(model, {
            cases: args.cases,
            tolerances: { scores: args.toleranceScores, logits: args.toleranceLogits },
            signal: interruptSignal,
            onCase: (_, done, total) => onProgress({ done: done / total }),
          }),
        )
        if (args.json) printJson(report)
        else printText(describe(report))
        if (!report.passed) process.exitCode = 1
      }),
  )
}

/** Columns of the table; those of several quantities show them all, in this order. */
const columns: [header: string, ...quantities: string[]][] = [
  ['layers', 'layer_ids'],
  ['prefill', 'prefill_logits'],
  ['pairs', 'pair_scores'],
  ['chunk', 'pair_scores_chunk'],
  ['block', 'pair_scores_block'],
  ['ranking', 'pair_scores_ranking', 'pair_scores_chunk_ranking', 'pair_scores_block_ranking'],
  ['heads', 'head_scores'],
  ['kept head/pair', 'keep_head', 'keep_pair'],
  ['logits full/head/pair', 'logits_full', 'logits_head', 'logits_pair'],
  ['tokens', 'tokens_full', 'tokens_head', 'tokens_pair'],
]

function describe({ model, arithmetic, cases, passed, seconds }: VerifyReport): string {
  const shown = columns.filter(([, ...names]) => cases.some((each) => quantitiesOf(each, names).length > 0))
  const rows = cases.map((each) => [each.name, ...shown.map(([, ...names]) => cell(each, names))])
  const failed = cases.filter((each) => !each.passed).length
  const verdict = passed
    ? 'all within tolerance'
    : `${failed} of ${cases.length} cases past tolerance (marked *)`
  return [
    'Largest difference of each quantity; of kept sets and tokens, how many differ; of rankings, 1 - Spearman.',
    table(['case', ...shown.map(([header]) => header)], rows),
    `${escapeText(model)} on ${arithmetic}: ${verdict}, ${formatSeconds(seconds)}`,
  ].join('\n\n')
}

function quantitiesOf({ quantities }: CaseReport, names: string[]): Quantity[] {
  return quantities.filter(({ name }) => names.includes(name))
}

function cell(report: CaseReport, names: string[]): string {
  const found = quantitiesOf(report, names)
  const show = ({ difference, tolerance }: Quantity): string =>
    tolerance === 0 ? `${difference}` : difference.toExponential(0)
  return found.map(show).join('/') + (found.every((quantity) => quantity.passed) ? '' : '*')
}
