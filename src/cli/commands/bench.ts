import type { Argv } from 'yargs'
import { benchKernels, benchScoring } from '../../bench/bench.js'
import { shapeNames } from '../../bench/shapes.js'
import { readSample } from '../../data/samples.js'
import { InputError } from '../../errors.js'
import type { Sweep } from '../../scores/head-scores.js'
import { decodeBench, shapeBench } from '../bench/shape.js'
import { dataOptions, maxDataBytesIn } from '../data-options.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, type GlobalOptions, withModel } from '../options.js'
import { formatBytes, printJson, printLine, printText, table } from '../output.js'
import { withProgress } from '../progress.js'

export function bench(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'bench [model]',
    'Measure kernel rates and scoring runs on this machine',
    (args) =>
      args
        .positional('model', { type: 'string', default: 'nano', describe: 'Model folder or name' })
        .options({
          data: {
            type: 'string',
            default: 'sample_qa_eng',
            describe: 'Data set whose first sample is scored',
          },
          tokens: {
            type: 'number',
            array: true,
            default: [6000],
            describe: 'Most context tokens to score; with --shape one run each',
          },
          shape: {
            choices: shapeNames,
            describe: 'Score random weights of this shape on a GPU instead',
          },
          sweeps: {
            array: true,
            choices: ['full', 'chunk', 'block'] as const satisfies readonly Sweep[],
            default: ['full', 'chunk', 'block'] as Sweep[],
            describe: 'With --shape: sweeps to time',
          },
          layers: { type: 'number', describe: "With --shape: run so many of the shape's layers" },
          kernels: {
            type: 'boolean',
            default: false,
            describe: "With --shape: tell where the GPU's time goes",
          },
          decode: {
            type: 'boolean',
            default: false,
            describe: 'With --shape: time a decoded token instead, beside the time of the bytes it reads',
          },
          ratios: {
            type: 'string',
            default: '1.0,0.6,0.3',
            describe: 'With --decode: shares of the KV heads that keep their context, as in eval',
          },
          ...dataOptions,
          ...engineOptions,
        })
        .example('$0 bench', 'Rates of the engine with the embedded model')
        .example(
          '$0 bench --shape qwen2.5-7b --tokens 124000 --device cuda',
          'A 7B model on a GPU, no download',
        ),
    async (args) => {
      if (args.shape !== undefined) {
        const shaped = { ...args, shape: args.shape }
        return args.decode ? decodeBench(shaped) : shapeBench(shaped)
      }
      if (args.decode) throw new InputError('--decode needs --shape')
      const kernels = await withProgress('kernels', args.progress, () => benchKernels())
      const scoring = await withModel(args.model, args, async (model) => {
        const { context } = await readSample(args.data, 0, {
          maxDataBytes: maxDataBytesIn(args),
          signal: interruptSignal,
        })
        return withProgress('scoring', args.progress, (onProgress) =>
          benchScoring(model, context, args.tokens[0] ?? 6000, { onProgress, signal: interruptSignal }),
        )
      })
      const maxRssBytes = process.resourceUsage().maxRSS * 1024
      if (args.json) return printJson({ kernels, scoring, maxRssBytes })
      printLine(
        `${kernels.isa}, ${kernels.threads} threads; multiply-add peak ${kernels.peakGflops.toFixed(0)} GFLOP/s`,
      )
      printLine()
      printText(
        table(
          ['kernel', 'GFLOP/s', 'of peak'],
          kernels.rates.map((r) => [r.name, r.gflops.toFixed(0), `${(r.ofPeak * 100).toFixed(0)}%`]),
        ),
      )
      printLine()
      printText(
        table(
          ['sweep', 'tokens', 'seconds', 'tokens/s', 'engine peak', 'Spearman to full'],
          scoring.runs.map((r) => [
            r.sweep,
            String(scoring.tokens),
            r.seconds.toFixed(2),
            r.contextTokensPerSecond.toFixed(0),
            formatBytes(r.peakBytes),
            r.spearmanToFull.toFixed(3),
          ]),
        ),
      )
      printLine()
      printLine(`peak resident memory of this process: ${formatBytes(maxRssBytes)}`)
    },
  )
}
