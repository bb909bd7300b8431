import type { Argv } from 'yargs'
import { benchKernels, benchScoring } from '../../bench/bench.js'
import { benchDecoding, type DecodeRun } from '../../bench/shape-decoding.js'
import { benchShape, type ShapeRun } from '../../bench/shape-scoring.js'
import { type ShapeName, shapeNames } from '../../bench/shapes.js'
import { readSample } from '../../data/samples.js'

import { InputError } from '../../errors.js'
import { parseRatios } from '../../eval/ratios.js'
import type { Sweep } from '../../scores/head-scores.js'
import { interruptSignal } from '../interrupt.js'
import { bytesIn, engineOptions, type GlobalOptions, withModel } from '../options.js'
import { formatBytes, printJson, printLine, table } from '../output.js'
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
      const kernels = await withProgress('kernels', args.json, () => benchKernels())
      const scoring = await withModel(args.model, args, async (model) => {
        const { context } = await readSample(args.data, 0)
        return withProgress('scoring', args.json, (onProgress) =>
          benchScoring(model, context, args.tokens[0] ?? 6000, { onProgress, signal: interruptSignal }),
        )
      })
      const maxRssBytes = process.resourceUsage().maxRSS * 1024
      if (args.json) return printJson({ kernels, scoring, maxRssBytes })
      printLine(
        `${kernels.isa}, ${kernels.threads} threads; multiply-add peak ${kernels.peakGflops.toFixed(0)} GFLOP/s`,
      )
      printLine()
      printLine(
        table(
          ['kernel', 'GFLOP/s', 'of peak'],
          kernels.rates.map((r) => [r.name, r.gflops.toFixed(0), `${(r.ofPeak * 100).toFixed(0)}%`]),
        ),
      )
      printLine()
      printLine(
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
      printLine(`\npeak resident memory of this process: ${formatBytes(maxRssBytes)}`)
    },
  )
}

interface ShapeArguments extends GlobalOptions {
  shape: ShapeName
  tokens: number[]
  sweeps: Sweep[]
  layers: number | undefined
  kernels: boolean
  ratios: string
  device: 'auto' | 'cpu' | 'cuda'
  gpuMemory: string | undefined
}

async function shapeBench(args: ShapeArguments): Promise<void> {
  const { shape, tokens, sweeps, layers, kernels } = args
  const device = args.device === 'auto' ? 'cuda' : args.device
  const gpuMemory = args.gpuMemory === undefined ? undefined : bytesIn(args.gpuMemory, '--gpu-memory')
  const tell = (run: ShapeRun): void => {
    if (args.json) return
    printLine(shapeLine(run))
    if (kernels) printLine(kernelTable(run))
  }
  const runs = await withProgress(shape, args.json, (onProgress) =>
    benchShape({
      shape,
      tokens,
      sweeps,
      layers,
      device,
      gpuMemory,
      kernelTimes: kernels,
      onProgress,
      onRun: tell,
      signal: interruptSignal,
    }),
  )
  if (args.json) printJson({ runs })
}

async function decodeBench(args: ShapeArguments): Promise<void> {
  const { shape, tokens, layers } = args
  const ratios = parseRatios(args.ratios)
  const device = args.device === 'auto' ? 'cuda' : args.device
  const gpuMemory = args.gpuMemory === undefined ? undefined : bytesIn(args.gpuMemory, '--gpu-memory')
  const onRun = (run: DecodeRun): void => {
    if (!args.json) printLine(decodeLine(run))
  }
  const runs = await withProgress(shape, args.json, (onProgress) =>
    benchDecoding({
      shape,
      tokens,
      ratios,
      layers,
      device,
      gpuMemory,
      onProgress,
      onRun,
      signal: interruptSignal,
    }),
  )
  if (args.json) printJson({ runs })
}

function decodeLine(run: DecodeRun): string {
  const part = run.layers < run.allLayers ? `, ${run.layers} of ${run.allLayers} layers` : ''
  const floor = `${(run.weightMs + run.kvMs).toFixed(2)} ms (weights ${run.weightMs.toFixed(2)} + KV ${run.kvMs.toFixed(2)})`
  return (
    `${run.shape} ${run.tokens} tokens${part}, ratio ${run.ratio} (${run.keptHeads} of ${run.heads} heads): ` +
    `${run.ms.toFixed(2)} ms a token, ${run.overFloor.toFixed(2)}x the floor of ${floor} at ` +
    `${(run.copyRate / 1e12).toFixed(2)} TB/s; KV ${formatBytes(run.kvBytes)}, peak ${formatBytes(run.peakBytes)}, ` +
    `decoding holds ${formatBytes(run.heldBytes)}, in use on the GPU ${formatBytes(run.deviceBytes)}` +
    `${run.repeatable ? '' : '; ANSWERS DIFFERED'}`
  )
}

function shapeLine(run: ShapeRun): string {
  const part =
    run.layers < run.allLayers
      ? `, ${run.layers} layers; ${run.wholeSeconds.toFixed(1)} s for all ${run.allLayers}`
      : ''
  const beyond = run.peakBytes - run.weightBytes
  const memory = beyond > 0 ? `${formatBytes(beyond)} beyond the weights` : 'weights streamed'
  return `${run.shape} ${run.tokens} tokens, ${run.sweep}: ${run.seconds.toFixed(2)} s, peak ${formatBytes(run.peakBytes)} (${memory})${part}`
}

/** The rest is what the GPU waited for the host, or did between the timed spans. */
function kernelTable(run: ShapeRun): string {
  const timed = run.kernels.reduce((sum, { seconds }) => sum + seconds, 0)
  const rows = [...run.kernels, { kind: 'the rest', seconds: run.seconds - timed, spans: 0 }]
  return table(
    ['work', 'seconds', 'share', 'spans'],
    rows
      .toSorted((a, b) => b.seconds - a.seconds)
      .map(({ kind, seconds, spans }) => [
        kind,
        seconds.toFixed(3),
        `${((100 * seconds) / run.seconds).toFixed(1)}%`,
        spans === 0 ? '-' : String(spans),
      ]),
  )
}
