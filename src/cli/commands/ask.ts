import { readFile } from 'node:fs/promises'
import { text as readStream } from 'node:stream/consumers'
import type { Argv } from 'yargs'
import { checkRatio, InputError } from '../../errors.js'
import { readAnyScores } from '../../formats/detect.js'
import { defaultMaxNewTokens, type Generation } from '../../inference/generate.js'
import type { KvCache } from '../../inference/kv-cache.js'
import type { Model } from '../../inference/model.js'
import type { HeadScores } from '../../scores/head-scores.js'
import type { SelectionRule } from '../../scores/select.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, type GlobalOptions, modelDescription, withModel } from '../options.js'
import { formatBytes, formatSeconds, printJson, printLine, table } from '../output.js'
import { withProgress } from '../progress.js'

export function ask(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'ask <model>',
    'Read a context once, evict what it does not need, and answer questions',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: modelDescription })
        .options({
          context: {
            type: 'string',
            demandOption: true,
            describe: 'File with the context; - reads standard input',
          },
          query: {
            type: 'string',
            array: true,
            demandOption: true,
            describe: 'Question; may be given several times',
          },
          level: {
            choices: ['head'] as const,
            default: 'head' as const,
            describe: 'What is evicted: whole KV heads',
          },
          scores: { type: 'string', describe: 'Head scores (or give --full)' },
          ratio: { type: 'number', default: 0.6, describe: 'Share of KV heads that keep their context' },
          selection: {
            choices: ['exact', 'published'] as const satisfies readonly SelectionRule[],
            default: 'exact' as SelectionRule,
            describe: "Keep exactly that share, or follow the published rule's threshold",
          },
          full: { type: 'boolean', default: false, describe: 'Evict nothing' },
          compare: { type: 'boolean', default: false, describe: 'Answer from the full cache, too' },
          'max-new-tokens': { type: 'number', default: defaultMaxNewTokens, describe: 'Longest answer' },
          ...engineOptions,
        })
        .example(
          '$0 ask nano --context notes.txt --query "Where do I live?" --scores head_scores/nano/merged.arrow',
          'With 60% of the KV heads',
        )
        .example(
          '$0 ask nano --context - --query "Who?" --query "Where?" --full < notes.txt',
          'With all of them',
        ),
    async (args) => {
      checkRatio(args.ratio, '--ratio')
      checkChoice(args)
      const scores = args.scores === undefined ? undefined : await readAnyScores(args.scores)
      const context = await readContext(args.context)
      await withModel(args.model, args, async (model) => {
        const plan: Plan = { ...args, rule: args.selection, scores }
        const caches = await withProgress('reading the context', args.json, (onProgress) =>
          prepare(model, context, plan, { onProgress, signal: interruptSignal }),
        )
        const answers = await answer(model, caches, plan)
        if (args.json)
          printJson({ model: model.description.id, arithmetic: model.arithmetic, ...asJson(caches, answers) })
        else printLine(asText(caches, answers))
      })
    },
  )
}

function checkChoice({
  full,
  compare,
  scores,
}: {
  full: boolean
  compare: boolean
  scores?: string | undefined
}): void {
  if (full && (compare || scores !== undefined)) {
    throw new InputError('--full evicts nothing: give it without --scores and --compare')
  }
  if (!full && scores === undefined) {
    throw new InputError('--scores must name a file of head scores; or give --full to evict nothing')
  }
}

interface Plan {
  query: string[]
  ratio: number
  rule: SelectionRule
  /** undefined: nothing is evicted */
  scores: HeadScores | undefined
  compare: boolean
  maxNewTokens: number
}

/** A cache to answer from: `full`, `head 0.6`. */
interface NamedCache {
  name: string
  kv: KvCache
  heads: number
}

interface Answers {
  query: string
  /** One a cache. */
  made: Generation[]
}

async function readContext(path: string): Promise<string> {
  if (path === '-') return readStream(process.stdin)
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new InputError(`--context ${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

/** Without a comparison the heads give up their context during the prefill, which keeps its peak low. */
async function prepare(
  model: Model,
  context: string,
  { scores, ratio, rule, compare }: Plan,
  job: { onProgress: ((progress: { done: number }) => void) | undefined; signal: AbortSignal },
): Promise<NamedCache[]> {
  const { layers, kvHeads } = model.description.spec
  const heads = layers * kvHeads
  const name = `head ${ratio}`
  if (scores && !compare) {
    return [{ name, heads, kv: await model.prefill(context, { scores, ratio, rule, ...job }) }]
  }
  const full = { name: 'full', heads, kv: await model.prefill(context, { scores, ...job }) }
  if (!scores) return [full]
  const kv = full.kv.clone()
  kv.prune({ level: 'head', ratio, scores, rule })
  return [full, { name, heads, kv }]
}

async function answer(model: Model, caches: NamedCache[], { query, maxNewTokens }: Plan): Promise<Answers[]> {
  const answers: Answers[] = []
  for (const each of query) {
    const made: Generation[] = []
    for (const { kv } of caches) {
      made.push(await model.generate(each, { kv, maxNewTokens, signal: interruptSignal }))
    }
    answers.push({ query: each, made })
  }
  return answers
}

function asJson(caches: NamedCache[], answers: Answers[]): object {
  return {
    caches: caches.map(({ name, kv, heads }) => ({
      name,
      keptHeads: kv.keptHeads,
      heads,
      bytes: kv.bytes,
      fullBytes: kv.fullBytes,
    })),
    answers: answers.map(({ query, made }) => ({
      query,
      answers: made.map(({ text, ids, timeToFirstToken, tokensPerSecond }, i) => ({
        cache: caches[i]?.name,
        text,
        tokens: ids.length,
        timeToFirstToken,
        tokensPerSecond,
      })),
    })),
  }
}

function asText(caches: NamedCache[], answers: Answers[]): string {
  const speed = ({ timeToFirstToken, tokensPerSecond }: Generation): string =>
    `${formatSeconds(timeToFirstToken)} to the first token${tokensPerSecond > 0 ? `, ${tokensPerSecond.toFixed(0)} tokens/s` : ''}`
  const parts = answers.map(({ query, made }) => {
    const each = made.map((one, i) =>
      caches.length === 1
        ? `${one.text}\n  (${speed(one)})`
        : `${caches[i]?.name}: ${one.text}\n  (${speed(one)})`,
    )
    return [`> ${query}`, ...each].join('\n')
  })
  const rows = caches.map(({ name, kv, heads }) => [
    name,
    `${kv.keptHeads} of ${heads}`,
    formatBytes(kv.fullBytes),
    formatBytes(kv.bytes),
  ])
  return `${parts.join('\n\n')}\n\n${table(['cache', 'KV heads kept', 'KV before', 'KV after'], rows)}`
}
