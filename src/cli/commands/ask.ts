import { readFile } from 'node:fs/promises'
import { text as readStream } from 'node:stream/consumers'
import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { answeringOf, answerOptions } from '../ask/answering.js'
import { answerAll, answersAsText, asJson, cachesAsText } from '../ask/answers.js'
import { readContext } from '../ask/caches.js'
import { chat } from '../ask/chat.js'
import { evictionOptions, readEviction } from '../eviction.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, type GlobalOptions, modelDescription, withModel } from '../options.js'
import { printJson, printLine } from '../output.js'
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
          query: { type: 'string', array: true, describe: 'Question; may be given several times' },
          interactive: { type: 'boolean', default: false, describe: 'Chat over the context' },
          stream: { type: 'boolean', default: false, describe: 'Print each answer as it comes' },
          full: { type: 'boolean', default: false, describe: 'Evict nothing' },
          compare: { type: 'boolean', default: false, describe: 'Answer from the full cache, too' },
          ...evictionOptions,
          ...answerOptions,
          ...engineOptions,
        })
        .example(
          '$0 ask nano --context notes.txt --query "Where do I live?" --scores head_scores/nano/merged.arrow',
          'With 60% of the KV heads',
        )
        .example(
          '$0 ask nano --context notes.txt --query "Where?" --level pair --ratio 0.3 --compare',
          'With 30% of the pairs, beside the full cache',
        )
        .example('$0 ask nano --context notes.txt --full --interactive', 'A chat'),
    async (args) => {
      const { json, query = [] } = args
      checkChoice({ ...args, query })
      const eviction = args.full ? undefined : await readEviction(args)
      const context = await contextIn(args.context)
      await withModel(args.model, args, async (model) => {
        const caches = await withProgress('reading the context', json, (onProgress) =>
          readContext(model, context, eviction, args.compare, { onProgress, signal: interruptSignal }),
        )
        const answering = answeringOf(args)
        const show = args.stream ? (text: string) => void process.stdout.write(text) : undefined
        const answers = await answerAll(model, caches, query, answering, show)
        if (json) {
          const { description, arithmetic } = model
          return printJson({ model: description.id, arithmetic, ...asJson(caches, answers) })
        }
        if (!show && answers.length > 0) printLine(answersAsText(caches, answers))
        if (answers.length > 0) printLine(`\n${cachesAsText(caches)}`)
        if (args.interactive) await chat(model, caches[0]!, answering)
      })
    },
  )
}

interface Choice {
  query: string[]
  context: string
  full: boolean
  compare: boolean
  interactive: boolean
  stream: boolean
  json: boolean
  level: string
  scores: string | undefined
}

function checkChoice(choice: Choice): void {
  const { query, context, full, compare, interactive, stream, json, level, scores } = choice
  if (query.length === 0 && !interactive)
    throw new InputError('--query must ask something; or give --interactive to chat')
  if (full && (compare || scores !== undefined))
    throw new InputError('--full evicts nothing: give it without --scores and --compare')
  if (!full && scores === undefined && level === 'head')
    throw new InputError('--scores must name a file of head scores; or give --full to evict nothing')
  if (interactive && (compare || json))
    throw new InputError('--interactive is a chat over one cache: give it without --compare and --json')
  if (interactive && context === '-')
    throw new InputError('--interactive reads standard input itself: name a file with --context')
  if (stream && json) throw new InputError('--stream prints text as it comes: give it without --json')
}

async function contextIn(path: string): Promise<string> {
  if (path === '-') return readStream(process.stdin)
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new InputError(`--context ${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
