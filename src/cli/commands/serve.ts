import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { defaultRecent, defaultSink } from '../../inference/levels.js'
import { type BudgetOptions, budgetOf } from '../../scores/budget.js'
import type { RunningServer } from '../../serve/server.js'
import { budgetLines } from '../budget-options.js'
import {
  asksForEviction,
  type ChosenEviction,
  evictionName,
  evictionOptions,
  readEviction,
} from '../eviction.js'
import { interruptSignal } from '../interrupt.js'
import { bytesIn, engineOptions, type GlobalOptions, namesIn, withModel } from '../options.js'
import { formatBytes, printJson, printLine, printNote, printText } from '../output.js'
import { withProgress } from '../progress.js'

export function serve(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'serve <model>',
    'Answer over HTTP as OpenAI does; a context seen before is not read again',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: 'Model folder, or nano' })
        .options({
          ...evictionOptions,
          host: { type: 'string', default: '127.0.0.1', describe: 'Address to listen on' },
          port: { type: 'number', default: 8080, describe: 'Port; 0 takes one that is free' },
          'allowed-hosts': {
            type: 'string',
            describe:
              'Hosts that requests may name beside --host and loopback, comma-separated; * for any (for proxies)',
          },
          'api-key': {
            type: 'string',
            describe: 'Key that requests must carry (or set HEADZIP_API_KEY, which no process list shows)',
          },
          'cache-bytes': {
            type: 'string',
            describe:
              'Compressed contexts kept for later requests (default: 8GiB, at most a quarter of the memory)',
          },
          cache: {
            type: 'string',
            describe:
              'Files that headzip ask --save-cache wrote, comma-separated: their contexts are there at once',
          },
          'cache-dir': {
            type: 'string',
            describe: 'Folder for contexts that leave memory: found again, after a restart, too',
          },
          'cache-dir-bytes': { type: 'string', describe: 'Most bytes in that folder (default: 64GiB)' },
          'max-new-tokens': { type: 'number', default: 2048, describe: 'Longest answer' },
          'max-waiting': { type: 'number', default: 64, describe: 'Requests that may wait for their turn' },
          'max-request-bytes': {
            type: 'string',
            describe: 'Largest request (default: 1 MiB and 16 bytes a position of the model)',
          },
          'drain-seconds': {
            type: 'number',
            default: 30,
            describe: 'Time that running answers get when the server is told to end',
          },
          log: { type: 'boolean', default: false, describe: 'A line a request on stderr, without its text' },
          ...engineOptions,
        })
        .example('$0 serve nano --scores head_scores/nano/merged.arrow --ratio 0.6', 'On this machine only')
        .example(
          '$0 serve ./Llama --cache book.kv,handbook.kv --cache-dir caches',
          'Contexts that were compressed before',
        )
        .example(
          'HEADZIP_API_KEY=... $0 serve ./Llama --level pair --ratio 0.3 --host 0.0.0.0',
          'On the network, with a key',
        ),
    async (args) => {
      const eviction = asksForEviction(args) ? await readEviction(args) : undefined
      const apiKey = keyOf(args.apiKey)
      const { host, port, maxNewTokens, maxWaiting, drainSeconds, log, maxRequestBytes } = args
      // The other commands need not wait for an HTTP server to load.
      const { isLoopback } = await import('../../serve/hosts.js')
      const { serve: startServer } = await import('../../serve/server.js')
      await withModel(args.model, args, async (model) => {
        const opened = startServer(model, {
          ...{ host, port, eviction, maxNewTokens, maxWaiting, drainSeconds, log },
          apiKey,
          allowedHosts: args.allowedHosts === undefined ? [] : namesIn(args.allowedHosts, '--allowed-hosts'),
          caches: args.cache === undefined ? [] : namesIn(args.cache, '--cache'),
          cacheDir: args.cacheDir,
          cacheDirBytes:
            args.cacheDirBytes === undefined ? undefined : bytesIn(args.cacheDirBytes, '--cache-dir-bytes'),
          onNote: printNote,
          whileReading: (tokens, read) =>
            withProgress(`reading a context of ${tokens} tokens`, args.progress, read),
          cacheBytes: args.cacheBytes === undefined ? undefined : bytesIn(args.cacheBytes, '--cache-bytes'),
          maxRequestBytes:
            maxRequestBytes === undefined ? undefined : bytesIn(maxRequestBytes, '--max-request-bytes'),
        })
        const server = await withProgress('opening the caches', args.progress, () => opened)
        const { url, cacheBytes, contexts } = server
        const name = model.description.id
        const planned = eviction?.scores && budgetOf(eviction.scores, plannedWindows(eviction))
        if (args.json)
          printJson({
            url: `${url}/v1`,
            model: name,
            evicting: eviction ? evictionName(eviction) : null,
            budget: planned?.budget ?? null,
            cacheBytes,
            contexts,
          })
        else {
          const evicting = eviction ? `evicting by ${evictionName(eviction)}` : 'evicting nothing'
          const there = contexts > 0 ? `, of which ${contexts} are there already` : ''
          printLine(
            `${name} answers at ${url}/v1, ${evicting}; keeps ${formatBytes(cacheBytes)} of contexts${there}`,
          )
          if (planned) printText(budgetLines(planned.budget))
        }
        if (apiKey === undefined && !isLoopback(host))
          printNote(`Whoever reaches ${host} can ask: --api-key or HEADZIP_API_KEY sets a key.`)
        await untilInterrupted(server, args.json)
      })
    },
  )
}

function keyOf(option: string | undefined): string | undefined {
  const key = option ?? process.env.HEADZIP_API_KEY
  if (key !== undefined && key.trim() === '') throw new InputError('the API key is empty')
  return key
}

/** Ctrl-C or SIGTERM lets running answers end; again ends at once. */
async function untilInterrupted(server: RunningServer, silent: boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    if (interruptSignal.aborted) resolve()
    else interruptSignal.addEventListener('abort', () => resolve(), { once: true })
  })
  if (!silent) printNote('Ending: running answers are finished first.')
  await server.close()
}

/** What every evicted head keeps of a context as long as the scored one; the system prefix stays, too. */
function plannedWindows({ level, ratio, rule, sink, recent }: ChosenEviction): BudgetOptions {
  const streaming = level === 'streaming'
  return {
    ratio,
    rule,
    sink: streaming ? (sink ?? defaultSink) : 0,
    recent: streaming ? (recent ?? defaultRecent) : 0,
  }
}
