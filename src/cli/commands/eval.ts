import type { Argv } from 'yargs'
import { didYouMean } from '../../did-you-mean.js'
import { InputError, invalidParameter } from '../../errors.js'
import { type EvaluationLevel, evaluationLevels } from '../../eval/arms.js'
import { type EvaluateSummary, evaluate } from '../../eval/evaluate.js'
import { parseRatios } from '../../eval/ratios.js'
import { defaultScores, readNamedScores } from '../../eval/score-choice.js'
import { readResults } from '../../eval/store.js'
import { summarize } from '../../eval/summary.js'
import { formatSummary } from '../../eval/table.js'
import { defaultRecent, defaultSink } from '../../inference/levels.js'
import type { Model } from '../../inference/model.js'
import { defaultChunkSize } from '../../model/reconstruction.js'
import type { Sweep } from '../../scores/head-scores.js'
import type { SelectionRule } from '../../scores/select.js'
import { dataOptions, maxDataBytesIn } from '../data-options.js'
import { fetchFromHub } from '../hub-data.js'
import { interruptSignal } from '../interrupt.js'
import { reportToParent, runJobs } from '../jobs.js'
import { needleOptions, needleOptionsIn } from '../needle-options.js'
import {
  engineOptions,
  forceOption,
  type GlobalOptions,
  modelDescription,
  namesIn,
  withModel,
} from '../options.js'
import { checkFolderOut } from '../out-option.js'
import { printJson, printLine, printNote, printText } from '../output.js'
import { withProgress } from '../progress.js'
import { chosenShard, shardOption } from '../shard-option.js'

const options = {
  data: {
    alias: 'd',
    type: 'string',
    default: 'sample_qa_eng,sample_repoqa',
    describe: 'Data sets: names (headzip data list), .parquet or .jsonl files, comma-separated',
  },
  ratios: {
    type: 'string',
    default: '0.1..1.0',
    describe: 'Shares of KV kept: 0.3,0.6 or 30%,60% or 0.1..1.0 or 0.1..0.5:0.05',
  },
  level: {
    type: 'string',
    default: 'head',
    describe: `What is evicted: ${evaluationLevels.join(', ')}; joined by commas`,
  },
  scores: {
    type: 'string',
    describe:
      'Head scores of the levels head and streaming, comma-separated: files, DuoAttention folders, label=file ' +
      '(default: head_scores/<model>/merged.arrow)',
  },
  draws: { type: 'number', describe: 'Random choices of heads of the level random (default: 3)' },
  num: { type: 'number', default: 100, describe: 'Samples of each data set, from the first' },
  questions: { type: 'number', describe: 'Questions of each sample, from the first (default: all)' },
  'kv-type': {
    choices: ['retain', 'evict'] as const,
    default: 'retain' as const,
    describe: 'Keep one full cache and gather what stays beside it, or evict from a copy of it',
  },
  'max-context': { type: 'number', describe: 'Cut the middle out of contexts with more tokens' },
  'chunk-size': {
    type: 'number',
    default: defaultChunkSize,
    describe: 'Levels of pairs: context tokens repeated at a time',
  },
  selection: {
    choices: ['exact', 'published'] as const satisfies readonly SelectionRule[],
    default: 'exact' as SelectionRule,
    describe: "Keep exactly that share, or follow the published rule's threshold",
  },
  sweep: {
    choices: ['full', 'chunk', 'block'] as const satisfies readonly Sweep[],
    describe: 'How pairs are scored (default: full)',
  },
  sink: {
    type: 'number',
    describe: `First context tokens that a streaming head keeps (default: ${defaultSink})`,
  },
  recent: {
    type: 'number',
    describe: `Last context tokens that a streaming head keeps (default: ${defaultRecent})`,
  },
  out: {
    alias: 'o',
    type: 'string',
    default: 'results',
    describe: 'Folder for <model>/<data>/<sample>.arrow',
  },
  jobs: { type: 'number', default: 1, describe: 'Processes on this machine that share the samples' },
  ...shardOption,
  ...dataOptions,
  ...needleOptions,
  ...engineOptions,
  ...forceOption,
} as const

export function evaluation(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'eval <model>',
    'Ask the questions of data sets from caches evicted in several ways; goes on where it was stopped',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: modelDescription })
        .options(options)
        .example('$0 eval nano -d sample_qa_eng,needle --level head,random', 'Results for headzip results')
        .example('$0 eval ./llama -d scbench_kv --level pair --shard 0/4', 'A quarter of the samples'),
    async (args) => {
      checkFolderOut(args.out)
      const shard = chosenShard(args.shard)
      const ratios = parseRatios(args.ratios)
      const chosen = levelsIn(args.level)
      checkBelonging(args, chosen)
      const { draws = 3, sweep = 'full', sink = defaultSink, recent = defaultRecent } = args
      checkCount(draws, '--draws')
      checkCount(args.jobs, '--jobs')
      if (args.jobs > 1) {
        await withProgress('evaluating', args.progress, (onProgress) =>
          runJobs({ jobs: args.jobs, shard, threads: args.threads, onProgress }),
        )
      }
      await withModel(args.model, args, async (model) => {
        const named = await scoresFor(model, chosen, args.scores)
        const summary = await withProgress('evaluating', args.progress, (onProgress) =>
          evaluate(model, {
            ...args,
            ...{ draws, sweep, sink, recent },
            data: namesIn(args.data, '--data'),
            maxDataBytes: maxDataBytesIn(args),
            ratios,
            levels: chosen,
            scores: named,
            kind: args.kvType,
            rule: args.selection,
            needle: needleOptionsIn(args),
            fetch: fetchFromHub(args.progress),
            shard,
            signal: interruptSignal,
            onNote: printNote,
            onProgress: (progress) => {
              onProgress(progress)
              reportToParent(progress)
            },
          }),
        )
        await show(summary, args.json)
      })
    },
  )
}

async function show(summary: EvaluateSummary, json: boolean): Promise<void> {
  const { files, answered, present, samples } = summary
  if (files.length === 0) {
    if (json) printJson({ ...summary, rows: [] })
    else printLine(`This shard has none of the ${samples} samples.`)
    return
  }
  const results = await readResults(files)
  const rows = await summarize(results.map(({ result }) => result))
  if (json) printJson({ ...summary, rows })
  else {
    printText(formatSummary(rows, 'markdown'))
    printLine(`${answered} samples answered, ${present} found answered, of ${samples} in all.`)
  }
}

async function scoresFor(
  model: Model,
  chosen: readonly EvaluationLevel[],
  given: string | undefined,
): ReturnType<typeof readNamedScores> {
  if (!chosen.includes('head') && !chosen.includes('streaming')) return []
  if (given !== undefined) return readNamedScores(namesIn(given, '--scores'))
  const { id } = model.description
  const found = await defaultScores(id)
  if (found) return readNamedScores([found])
  throw new InputError(
    `there is no head_scores/${id}/merged.arrow: pass --scores, or make them with headzip score`,
  )
}

function levelsIn(text: string): EvaluationLevel[] {
  return namesIn(text, '--level').map((name) => {
    const level = evaluationLevels.find((each) => each === name)
    if (level) return level
    const meant = didYouMean(name, evaluationLevels)
    throw new InputError(`--level must be among ${evaluationLevels.join(', ')}, got '${name}'${meant}`)
  })
}

interface BelongingOptions {
  scores: string | undefined
  draws: number | undefined
  sink: number | undefined
  recent: number | undefined
  sweep: Sweep | undefined
}

/** What says how one level evicts is not taken silently where that level is not evaluated. */
function checkBelonging(
  { scores, draws, sink, recent, sweep }: BelongingOptions,
  chosen: readonly EvaluationLevel[],
): void {
  const belongs = (given: unknown, names: string, ...owners: EvaluationLevel[]): void => {
    if (given === undefined || owners.some((level) => chosen.includes(level))) return
    const several = owners.length > 1 ? 'the levels' : '--level'
    const verb = names.includes(' and ') ? 'belong' : 'belongs'
    throw new InputError(`${names} ${verb} to ${several} ${owners.join(' and ')}`)
  }
  belongs(scores, '--scores', 'head', 'streaming')
  belongs(sink ?? recent, '--sink and --recent', 'streaming')
  belongs(sweep === 'full' ? undefined : sweep, '--sweep', 'pair', 'pair-uniform')
  belongs(draws, '--draws', 'random')
}

function checkCount(value: number, name: string): void {
  if (!(Number.isInteger(value) && value > 0 && value <= 1000))
    throw invalidParameter(name, 'a whole number from 1 to 1000', value)
}
