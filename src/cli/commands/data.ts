import { stat } from 'node:fs/promises'
import type { Argv } from 'yargs'
import type { Sample } from '../../data/sample.js'
import { dataSetFile, readSamples } from '../../data/samples.js'
import { dataSetName, describeDataSet, hubFileOf, knownNames, originOf } from '../../data/sets.js'
import { queryText, templateOf } from '../../data/templates.js'
import { didYouMean } from '../../did-you-mean.js'
import { InputError, invalidParameter } from '../../errors.js'
import { escapeText } from '../../escape.js'
import { metricNameOf } from '../../eval/metrics/index.js'
import { locateModel } from '../../hub/locate.js'
import { describeModel } from '../../model/describe.js'
import type { Tokenizer } from '../../model/tokenizer.js'
import { dataOptions, maxDataBytesIn } from '../data-options.js'
import { fetchFromHub } from '../hub-data.js'
import { interruptSignal } from '../interrupt.js'
import { needleOptions, needleOptionsIn } from '../needle-options.js'
import { type GlobalOptions, namesIn } from '../options.js'
import { formatBytes, printJson, printLine, printText, table } from '../output.js'
import { type ProgressKind, withDownload } from '../progress.js'

export function data(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command('data', 'Data sets of contexts, questions and answers', (args) =>
    args
      .command(
        'list',
        'Names that are known, where they come from, and how they are judged',
        {},
        ({ json }) => {
          const sets = knownNames.map((name) => ({ ...describeDataSet(name), metric: metricNameOf(name) }))
          if (json) printJson(sets)
          else
            printText(
              table(
                ['name', 'metric', 'asked', 'new tokens', 'origin'],
                sets.map((set) => [
                  set.name,
                  set.metric,
                  set.template,
                  String(set.generationLength),
                  set.origin,
                ]),
              ),
            )
        },
      )
      .command('show <name>', 'One sample: its context, questions and answers', showOptions, async (own) => {
        checkIndex(own.idx)
        // Without a model its tokenizer is not needed, but for sets that are measured in tokens.
        const tokenizer = own.model === undefined ? undefined : await tokenizerOf(own.model, own.progress)
        const samples = await readSamples(own.name, {
          tokenizer,
          needle: needleOptionsIn(own),
          maxDataBytes: maxDataBytesIn(own),
          fetch: fetchFromHub(own.progress),
          signal: interruptSignal,
        })
        const sample = samples[own.idx]
        if (!sample)
          throw new InputError(
            `${own.name} has ${samples.length} samples, indices 0 to ${samples.length - 1}; there is no ${own.idx}`,
          )
        const tokens = (await tokenizer?.encode(sample.context))?.length
        if (own.json)
          printJson({ samples: samples.length, metric: metricNameOf(sample.data), tokens, ...sample })
        else printText(describe(sample, samples.length, tokens))
      })
      .command(
        'fetch <names>',
        'Download data sets from the hub, or find them in the cache',
        (own) =>
          own
            .positional('names', { type: 'string', demandOption: true, describe: 'Comma-separated names' })
            .example('$0 data fetch squad,scbench_kv_tiny', 'Into the cache of the Hugging Face hub'),
        async ({ names, json, progress }) => {
          const files = []
          for (const name of namesIn(names, 'names')) {
            if (originOf(name)?.kind !== 'hub' && !hubFileOf(name))
              throw new InputError(
                `${name} is no data set of the hub; headzip data list names those that are` +
                  (knownNames.includes(name) ? '' : didYouMean(name, knownNames)),
              )
            const fetch = fetchFromHub(progress)
            const file = await dataSetFile(name, { fetch, signal: interruptSignal })
            files.push({ name: dataSetName(name), file, bytes: (await stat(file)).size })
          }
          if (json) printJson(files)
          else for (const { name, file, bytes } of files) printLine(`${name}: ${file}, ${formatBytes(bytes)}`)
        },
      )
      .demandCommand(1, 'Name a command of data: list, show or fetch')
      .example('$0 data list', 'Every name that headzip eval and headzip score know')
      .example('$0 data show needle -m nano --idx 5', 'One sample as it is asked'),
  )
}

function showOptions(args: Argv<GlobalOptions>) {
  return args
    .positional('name', { type: 'string', demandOption: true, describe: 'Name, or .parquet or .jsonl file' })
    .options({
      idx: { type: 'number', default: 0, describe: 'Which sample' },
      model: {
        alias: 'm',
        type: 'string',
        describe: 'Model whose tokenizer counts; needle and gsm need one',
      },
      ...needleOptions,
      ...dataOptions,
    })
    .example('$0 data show sample_qa_eng', 'What a sample looks like')
    .example('$0 data show needle -m nano --idx 5', 'A needle at half the depth of 500 tokens')
}

async function tokenizerOf(model: string, progress: ProgressKind | undefined): Promise<Tokenizer> {
  const { path, id } = await withDownload(model, progress, (callbacks) =>
    locateModel(model, { ...callbacks, signal: interruptSignal }),
  )
  return describeModel(path, id).openTokenizer()
}

function checkIndex(idx: number): void {
  if (!Number.isSafeInteger(idx) || idx < 0) throw invalidParameter('--idx', 'a whole number from 0', idx)
}

const shownContext = 600

function describe(sample: Sample, samples: number, tokens: number | undefined): string {
  const { data, index, context, queries, answers } = sample
  const size = `${context.length} characters${tokens === undefined ? '' : `, ${tokens} tokens`}`
  const shown = context.length > shownContext ? `${context.slice(0, shownContext)} …` : context
  const asked = queries.flatMap((query, i) => [
    `Q ${i}: ${queryText(templateOf(data), query)}`,
    `A ${i}: ${answers[i] ?? '(no reference)'}`,
  ])
  return [
    `${escapeText(data)} ${index} of ${samples} samples: ${size}, ${queries.length} questions, metric ${metricNameOf(data)}`,
    '',
    shown,
    '',
    ...asked,
  ]
    .join('\n')
    .replaceAll('\r\n', '\n')
}
