/** `headzip bench --shape`: scoring and decoding of random weights, measured and told. */

import { benchDecoding, type DecodeRun } from '../../bench/shape-decoding.js'
import { benchShape, type ShapeRun } from '../../bench/shape-scoring.js'
import type { ShapeName } from '../../bench/shapes.js'
import { parseRatios } from '../../eval/ratios.js'
import type { Sweep } from '../../scores/head-scores.js'
import { interruptSignal } from '../interrupt.js'
import { bytesIn, type GlobalOptions } from '../options.js'
import { formatBytes, printJson, printLine, printText, table } from '../output.js'
import { withProgress } from '../progress.js'

export interface ShapeArguments extends GlobalOptions {
  shape: ShapeName
  tokens: number[]
  sweeps: Sweep[]
  layers: number | undefined
  kernels: boolean
  ratios: string
  device: 'auto' | 'cpu' | 'cuda'
  gpuMemory: string | undefined
}

export async function shapeBench(args: ShapeArguments): Promise<void> {
  const { shape, tokens, sweeps, layers, kernels } = args
  const device = args.device === 'auto' ? 'cuda' : args.device
  const gpuMemory = args.gpuMemory === undefined ? undefined : bytesIn(args.gpuMemory, '--gpu-memory')
  const tell = (run: ShapeRun): void => {
    if (args.json) return
    printLine(shapeLine(run))
    if (kernels) printText(kernelTable(run))
  }
  const runs = await withProgress(shape, args.progress, (onProgress) =>
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

export async function decodeBench(args: ShapeArguments): Promise<void> {
  const { shape, tokens, layers } = args
  const ratios = parseRatios(args.ratios)
  const device = args.device === 'auto' ? 'cuda' : args.device
  const gpuMemory = args.gpuMemory === undefined ? undefined : bytesIn(args.gpuMemory, '--gpu-memory')
  const onRun = (run: DecodeRun): void => {
    if (!args.json) printLine(decodeLine(run))
  }
  const runs = await withProgress(shape, args.progress, (onProgress) =>
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
