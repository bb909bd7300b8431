import type { Argv } from 'yargs'
import { readSample } from '../../data/samples.js'
import { escapeText } from '../../escape.js'
import { type Profile, profileSample } from '../../eval/profile.js'
import { defaultMaxNewTokens } from '../../inference/generate.js'
import type { Level } from '../../inference/levels.js'
import { budgetLines } from '../budget-options.js'
import { contextOptions, contextOptionsIn } from '../context-options.js'
import { dataOptions, maxDataBytesIn } from '../data-options.js'
import { evictionOptions, readEviction } from '../eviction.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, type GlobalOptions, withModel } from '../options.js'
import { formatBytes, formatSeconds, printJson, printText, table } from '../output.js'
import { withSteps } from '../progress.js'

export function profile(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'profile <model>',
    'What eviction costs and saves on one sample: times, memory, answers and their probability',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: 'Model folder, or nano' })
        .options({
          data: { alias: 'd', type: 'string', demandOption: true, describe: 'Data set: a name or a file' },
          idx: { type: 'number', default: 0, describe: 'Sample of the data set' },
          ...contextOptions,
          ...evictionOptions,
          level: { ...evictionOptions.level, default: 'pair' as Level },
          ratio: {
            type: 'string',
            default: '0.3',
            describe: 'Share of KV heads or pairs whose context is kept, as 0.3 or 30%',
          },
          questions: { type: 'number', default: 5, describe: 'Questions asked of the sample' },
          'max-new-tokens': { type: 'number', default: defaultMaxNewTokens, describe: 'Longest answer' },
          'decode-tokens': { type: 'number', default: 64, describe: 'Steps that decoding is timed over' },
          ...dataOptions,
          ...engineOptions,
        })
        .example('$0 profile nano -d sample_qa_eng', 'By pairs, at ratio 0.3')
        .example(
          '$0 profile nano -d sample_repoqa --idx 2 --level head --scores head_scores/nano/merged.arrow --ratio 0.6',
          'By heads',
        ),
    async (args) => {
      const eviction = { ...(await readEviction(args)), ...contextOptionsIn(args) }
      const sample = await readSample(args.data, args.idx, {
        maxDataBytes: maxDataBytesIn(args),
        signal: interruptSignal,
      })
      await withModel(args.model, args, async (model) => {
        const { questions, maxNewTokens, decodeTokens } = args
        const made = await withSteps(args.progress, (steps) =>
          profileSample(model, sample, {
            ...eviction,
            ...{ questions, maxNewTokens, decodeTokens },
            signal: interruptSignal,
            onStep: (step) => steps.begin(step),
            onProgress: (progress) => steps.update(progress),
          }),
        )
        const { description, arithmetic } = model
        if (args.json) printJson({ model: description.id, arithmetic, ...made })
        else printText(asText(`${description.id} on ${arithmetic}`, made))
      })
    },
  )
}

function asText(model: string, made: Profile): string {
  const { data, index, tokens, level, ratio, kept, total, budget, steps, caches, answers } = made
  const head = `${escapeText(model)}, ${escapeText(data)} ${index}: ${tokens.prefix} + ${tokens.context} tokens; ${level} ${ratio} keeps ${kept} of ${total}`
  const stepRows = steps.map(({ name, seconds, peakBytes, residentBytes }) => [
    name,
    formatSeconds(seconds),
    peakBytes === null ? '-' : formatBytes(peakBytes),
    formatBytes(residentBytes),
  ])
  const cacheRows = caches.map(({ name, bytes, timeToFirstToken, tokensPerSecond, meanLogProb }) => [
    name,
    formatBytes(bytes),
    formatSeconds(timeToFirstToken),
    tokensPerSecond.toFixed(1),
    probability(meanLogProb),
  ])
  const answerRows = answers.map(({ query, reference, full, pruned, logProb }) =>
    [query, reference ?? '-', full, pruned]
      .map(cell)
      .concat([probability(logProb?.full ?? null), probability(logProb?.pruned ?? null)]),
  )
  return [
    head,
    budgetLines(budget),
    table(['step', 'time', 'engine peak', 'process'], stepRows),
    table(['cache', 'KV', 'first token', 'tokens/s', 'P(reference token)'], cacheRows),
    table(['question', 'reference', 'full', 'pruned', 'P full', 'P pruned'], answerRows),
  ].join('\n\n')
}

/** Geometric mean over the tokens. */
function probability(meanLogProb: number | null): string {
  return meanLogProb === null ? '-' : Math.exp(meanLogProb).toFixed(4)
}

function cell(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > 36 ? `${line.slice(0, 35)}…` : line
}
