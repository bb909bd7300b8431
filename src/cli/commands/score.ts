import { join } from 'node:path'
import type { Argv } from 'yargs'
import { readSample } from '../../data/samples.js'
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
        for (const index of indicesIn(args.idx, '--idx')) {
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
          const { sweep, chunkSize, pairs } = args
          const scores = await withProgress(`${sample.data} ${sample.index}`, args.json, (onProgress) =>
            scoreHeads(model, { ...sample, sweep, chunkSize, pairs, onProgress, signal: interruptSignal }),
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

function summary(file: string, scores: ScoredHeads): object {
  const { provenance, layers, kvHeads, positions, peakBytes, seconds } = scores
  return { file, ...provenance, layers, kvHeads, positions, seconds, peakBytes }
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
  return table(['file', 'tokens', 'lowest', 'highest', 'time', 'tokens/s', 'peak memory'], rows)
}
