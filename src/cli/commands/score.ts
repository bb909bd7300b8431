import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Argv } from 'yargs'
import { readSample } from '../../data/samples.js'
import { dataSetName, isMeasuredInTokens } from '../../data/sets.js'
import { invalidParameter } from '../../errors.js'
import { escapeText } from '../../escape.js'
import { parseRatio } from '../../eval/ratios.js'
import { checkWritable, writeFilesAtomic } from '../../files/write.js'
import { defaultChunkSize } from '../../model/reconstruction.js'
import { encodeScores, writeScores } from '../../scores/arrow.js'
import { type BudgetOptions, budgetOf } from '../../scores/budget.js'
import { type HeadScores, type ScoreMethod, type Sweep, scoreMethods } from '../../scores/head-scores.js'
import { mergeScores } from '../../scores/merge.js'
import { NoChunksLeft, type ScoredHeads, scoreHeads } from '../../scoring/score.js'
import { itemsOf } from '../../shard.js'
import { budgetFrom, budgetOptions, budgetText } from '../budget-options.js'
import { dataOptions, maxDataBytesIn } from '../data-options.js'
import { fetchFromHub } from '../hub-data.js'
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
import { checkFolderOut } from '../out-option.js'
import { formatBytes, formatSeconds, printJson, printLine, printNote, printText, table } from '../output.js'
import { withProgress } from '../progress.js'
import { askCommand, mergeCommand, mergedText, mergeScored } from '../score/merged.js'
import { chosenShard, shardOption } from '../shard-option.js'

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
            describe: 'Data sets: names, .parquet or .jsonl files, comma-separated',
          },
          idx: { type: 'string', default: '0', describe: 'Samples of each data set, comma-separated' },
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
            type: 'string',
            default: '0.6',
            describe: 'Ratio whose kept heads must not change',
          },
          'max-context': { type: 'number', describe: 'Score the first so many tokens of each context only' },
          ...shardOption,
          method: {
            choices: scoreMethods,
            default: 'kvzip' as ScoreMethod,
            describe:
              "Attention as published, weighted by what values add to the stream (CPU), or DuoAttention's estimate",
          },
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
            describe:
              'Folder for <model>/<data>-<idx>.arrow and merged.arrow; other methods than kvzip get one of their own in it',
          },
          ...dataOptions,
          ...budgetOptions,
          ...engineOptions,
          ...forceOption,
        })
        .example('$0 score nano', 'From natural language and from code, merged for headzip ask')
        .example(
          '$0 score ./llama --data own.jsonl --idx 0,1 --sweep block',
          'Own samples, with the cheapest sweep',
        )
        .example(
          '$0 score ./llama --samples 100 --shard 0/4',
          'A quarter of a hundred samples of each data set',
        ),
    async (args) => {
      checkFolderOut(args.out)
      const cost = budgetFrom(args)
      const shard = chosenShard(args.shard)
      const indices = args.samples === undefined ? indicesIn(args.idx, '--idx') : firstIndices(args.samples)
      const jobs = namesIn(args.data, '--data').flatMap((data) => indices.map((index) => ({ data, index })))
      // With fewer contexts than processes, the chunks of each are shared; blocks alone do not see one another.
      const byChunks = args.sweep === 'block' && jobs.length < shard.count
      const own = byChunks ? jobs : itemsOf(jobs, shard)
      const part = byChunks ? `.${shard.index}-of-${shard.count}` : ''
      const reading = {
        fetch: fetchFromHub(args.progress),
        signal: interruptSignal,
        maxDataBytes: maxDataBytesIn(args),
      }
      // All that can be wrong with the inputs is said before a model is downloaded or the first job starts.
      for (const { data, index } of own) if (!isMeasuredInTokens(data)) await readSample(data, index, reading)
      await withModel(args.model, args, async (model) => {
        // Scores of one method lie in one folder, so that the folder can be merged.
        const methodFolder = args.method === 'kvzip' ? [] : [args.method]
        const folder = join(args.out, model.description.id, ...methodFolder)
        const planned = []
        for (const { data, index } of own) {
          const name = `${dataSetName(data)}-${index}${part}.arrow`
          const file = join(folder, name)
          // A shard that is run again goes on after what it has done.
          if (shard.count > 1 && !args.force && existsSync(file)) {
            printNote(`${file} is there already`)
            continue
          }
          await checkWritable(file, { force: args.force })
          planned.push({ data, index, file })
        }
        const scored: { file: string; scores: ScoredHeads }[] = []
        for (const { file, ...sample } of planned) {
          const { method, sweep, chunkSize, pairs, maxContext } = args
          const untilStable =
            args.untilStable === undefined
              ? undefined
              : { spearman: args.untilStable, ratio: parseRatio(args.stableRatio, '--stable-ratio') }
          const chunks = byChunks ? shard : undefined
          const job = {
            ...sample,
            method,
            sweep,
            chunkSize,
            chunks,
            pairs,
            maxContext,
            untilStable,
            ...reading,
          }
          const scores = await withProgress(`${sample.data} ${sample.index}`, args.progress, (onProgress) =>
            scoreHeads(model, { ...job, onProgress }).catch(unlessNothingLeft),
          )
          if (!scores) continue
          if (shard.count > 1) await writeScores(file, scores, { force: args.force })
          scored.push({ file, scores })
        }
        const byFile = new Map(scored.map(({ file, scores }) => [file, scores]))
        if (shard.count > 1) {
          if (args.json) return printJson(scored.map(({ file, scores }) => summary(file, scores, cost)))
          if (scored.length === 0) printLine('Nothing is left for this shard.')
          else printText(`${describe(scored)}\n\n${budgetText(mergeScores([...byFile.values()]), cost)}`)
          printLine()
          return printLine(`When all shards are done: ${mergeCommand(folder)}`)
        }
        const merged = mergeScored(folder, byFile, { force: args.force })
        const written = [...byFile, ...(merged.kept ? [] : [[merged.file, merged.scores] as const])]
        const files = written.map(([file, scores]) => [file, encodeScores(scores)] as const)
        await writeFilesAtomic(files, { force: args.force })
        if (args.json) return printJson(written.map(([file, scores]) => summary(file, scores, cost)))
        const said = await mergedText(merged, folder, byFile)
        const next = merged.kept ? said : `Next: ${askCommand(args.model, args.revision, merged)}`
        printText(`${describe(scored)}\n`)
        if (!merged.kept) printLine(said)
        printText(`${budgetText(merged.scores, cost)}\n`)
        printLine(next)
      })
    },
  )
}

function unlessNothingLeft(error: unknown): undefined {
  if (!(error instanceof NoChunksLeft)) throw error
  printNote(error.message)
}

function firstIndices(count: number): number[] {
  if (Number.isSafeInteger(count) && count > 0) return Array.from({ length: count }, (_, i) => i)
  throw invalidParameter('--samples', 'a positive whole number', count)
}

/** Of merged scores there is no run to tell of. */
function summary(file: string, scores: HeadScores & Partial<ScoredHeads>, cost: BudgetOptions): object {
  const { provenance, layers, kvHeads, positions, peakBytes, seconds, stopped } = scores
  const { budget } = budgetOf(scores, cost)
  return { file, ...provenance, layers, kvHeads, positions, seconds, peakBytes, ...stopped, budget }
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
        `${escapeText(file)}: stable after ${stopped.scored} of ${stopped.chunks} chunks; ` +
          `${(100 * stopped.saved).toFixed(0)}% of the repetition was not run`,
      )
  }
  return lines.join('\n')
}
