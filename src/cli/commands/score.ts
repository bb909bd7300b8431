import { join } from 'node:path'
import type { Argv } from 'yargs'
import { readSample } from '../../data/samples.js'
import { checkRatio, invalidParameter } from '../../errors.js'
import { encodeScores } from '../../scores/arrow.js'
import { checkWritable, writeFilesAtomic } from '../../scores/files.js'
import type { Sweep } from '../../scores/head-scores.js'
import { defaultChunkSize } from '../../scoring/reconstruction.js'
import { type ScoredHeads, scoreHeads } from '../../scoring/score.js'
import { interruptSignal } from '../interrupt.js'
import {
  engineOptions,
  forceOption,
  type GlobalOptions,
  indicesIn,
  modelDescription,
  namesIn,
  withModel,
} from '../options.js'
import { formatBytes, formatSeconds, printJson, printLine, table } from '../output.js'
import { withProgress } from '../progress.js'

export function score(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'score <model>',
    'Score every KV head by how much a model looks at its context while repeating it',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: modelDescription })
        .options({
          data: {
            type: 'string',
            default: 'sample_qa_eng,sample_repoqa',
            describe: 'Data sets: names, .parquet or .jsonl files, joined by commas',
          },
          idx: { type: 'string', default: '0', describe: 'Samples of each data set, joined by commas' },
          samples: {
            type: 'number',
            describe: 'The first so many samples of each data set, instead of --idx',
          },
          'until-stable': {
            type: 'number',
            describe:
              'Stop when chunks no longer change what is kept, and the ranking agrees this well (0.995)',
          },
          'stable-ratio': {
            type: 'number',
            default: 0.6,
            describe: 'Ratio whose kept heads must not change',
          },
          'max-context': { type: 'number', describe: 'Score the first so many tokens of each context only' },
          sweep: {
            choices: ['full', 'chunk', 'block'] as const satisfies readonly Sweep[],
            default: 'full' as Sweep,
            describe: 'What the repetition sees: all of the context (as published), or only its own chunk',
          },
          'chunk-size': {
            type: 'number',
            default: defaultChunkSize,
            describe: 'Context tokens a repetition',
          },
          pairs: { type: 'boolean', default: false, describe: 'Keep the score of every cached pair, too' },
          out: {
            alias: 'o',
            type: 'string',
            default: 'head_scores',
            describe: 'Folder for <model>/<data>-<idx>.arrow',
          },
          ...engineOptions,
          ...forceOption,
        })
        .example('$0 score nano', 'Head scores of nano from natural language and from code')
        .example(
          '$0 score ./llama --data own.jsonl --idx 0,1 --sweep block',
          'Own samples, with the cheapest sweep',
        ),
    async (args) => {
      // All that can be wrong with the inputs is said before a model is downloaded or the first job starts.
      const jobs: { data: string; index: number; name: string }[] = []
      for (const data of namesIn(args.data, '--data')) {
        for (const index of samplesFrom(args.idx, args.samples)) {
          jobs.push({ data, index, name: (await readSample(data, index)).data })
        }
      }
      await withModel(args.model, args, async (model) => {
        const planned = []
        for (const { data, index, name } of jobs) {
          const file = join(args.out, model.description.id, `${name}-${index}.arrow`)
          await checkWritable(file, { force: args.force })
          planned.push({ data, index, file })
        }
        const scored: { file: string; scores: ScoredHeads }[] = []
        for (const { file, ...sample } of planned) {
          const { sweep, chunkSize, pairs, maxContext } = args
          const untilStable =
            args.untilStable === undefined
              ? undefined
              : { spearman: args.untilStable, ratio: checkRatio(args.stableRatio, '--stable-ratio') }
          const options = { ...sample, sweep, chunkSize, pairs, maxContext, untilStable }
          const scores = await withProgress(`${sample.data} ${sample.index}`, args.json, (onProgress) =>
            scoreHeads(model, { ...options, onProgress, signal: interruptSignal }),
          )
          scored.push({ file, scores })
        }
        const files = scored.map(({ file, scores }) => [file, encodeScores(scores)] as const)
        await writeFilesAtomic(files, { force: args.force })
        if (args.json) printJson(scored.map(({ file, scores }) => summary(file, scores)))
        else printLine(describe(scored))
      })
    },
  )
}

function samplesFrom(idx: string, samples: number | undefined): number[] {
  if (samples === undefined) return indicesIn(idx, '--idx')
  if (!Number.isInteger(samples) || samples < 1)
    throw invalidParameter('--samples', 'a positive integer', samples)
  return Array.from({ length: samples }, (_, index) => index)
}

function summary(file: string, scores: ScoredHeads): object {
  const { provenance, layers, kvHeads, positions, peakBytes, seconds, stopped } = scores
  return { file, ...provenance, layers, kvHeads, positions, seconds, peakBytes, ...stopped }
}

function describe(scored: { file: string; scores: ScoredHeads }[]): string {
  const rows = scored.map(({ file, scores: { positions, max, peakBytes, seconds } }) => [
    file,
    String(positions),
    Math.min(...max).toFixed(3),
    Math.max(...max).toFixed(3),
    formatSeconds(seconds),
    String(Math.round(positions / seconds)),
    formatBytes(peakBytes),
  ])
  const lines = [table(['file', 'tokens', 'lowest', 'highest', 'time', 'tokens/s', 'peak memory'], rows)]
  for (const { file, scores } of scored) {
    const { stopped } = scores
    if (stopped)
      lines.push(
        `${file}: stable after ${stopped.scored} of ${stopped.chunks} chunks; ` +
          `${(100 * stopped.saved).toFixed(0)}% of the repetition was not run`,
      )
  }
  return lines.join('\n')
}
