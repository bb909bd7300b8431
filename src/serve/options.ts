/** What a server can be told, and what is wrong with it before it listens. */

import { totalmem } from 'node:os'
import {
  check,
  checkOptions as checkFieldsOf,
  checkList,
  checkNames,
  checkOneOf,
  type Kind,
} from '../check.js'
import { checkRatio, InputError, invalidParameter } from '../errors.js'
import { readGiven } from '../formats/detect.js'
import { checkLevel, isPairLevel, missingHeadScores } from '../inference/levels.js'
import type { Model } from '../inference/model.js'
import { checkScoresFit } from '../inference/scores-fit.js'
import { checkScores } from '../scores/check.js'
import type { Eviction, WhileReading } from './contexts.js'
import { parseHost } from './hosts.js'

export interface ServeOptions {
  /** Only this machine can reach the default, 127.0.0.1. */
  host?: string | undefined
  /** 0 takes one that is free. */
  port?: number | undefined
  /**
   * Hosts that requests may name beside those that are listened on, for proxies: `llm.example.com` under any port,
   * `10.0.0.5:8080`, or `*` for any host and any page.
   */
  allowedHosts?: readonly string[] | undefined
  /** What is evicted of every context; nothing when left out. */
  eviction?: Eviction | undefined
  /** Asked of every request but /health. */
  apiKey?: string | undefined
  /** Bytes of KV kept for contexts that may come again; 8 GiB, but at most a quarter of the machine's memory. */
  cacheBytes?: number | undefined
  /** Files that `kv.save` wrote: their contexts need not be read. They count among `cacheBytes`. */
  caches?: readonly string[] | undefined
  /** Folder in which contexts that leave memory are kept, and found again after a restart; none when left out. */
  cacheDir?: string | undefined
  /** Most bytes in that folder; 64 GiB. */
  cacheDirBytes?: number | undefined
  /** Longest answer, and the length of one that names no limit; 2048. */
  maxNewTokens?: number | undefined
  /** Requests that may wait for their turn; 64. */
  maxWaiting?: number | undefined
  /** Largest request, in bytes; by default 1 MiB and 16 bytes for every position of the model. */
  maxRequestBytes?: number | undefined
  /** How long `close` waits for answers before it stops them; 30. */
  drainSeconds?: number | undefined
  /** One line a request on stderr, without headers and texts. */
  log?: boolean | undefined
  /** Told, once the server runs, what goes wrong with caches on disk; it answers on without them. */
  onNote?: ((note: string) => void) | undefined
  /** Stands round the reading of each new context, which may take minutes. */
  whileReading?: WhileReading | undefined
}

const fields = {
  host: 'text?',
  port: 'number?',
  allowedHosts: 'list?',
  eviction: 'object?',
  apiKey: 'string?',
  cacheBytes: 'number?',
  caches: 'list?',
  cacheDir: 'path?',
  cacheDirBytes: 'number?',
  maxNewTokens: 'number?',
  maxWaiting: 'number?',
  maxRequestBytes: 'number?',
  drainSeconds: 'number?',
  log: 'flag?',
  onNote: 'function?',
  whileReading: 'function?',
} as const satisfies Record<keyof ServeOptions, Kind>

/** An option that the server does not have changes nothing, silently: a ratio beside the eviction would be lost. */
function checkKinds(options: ServeOptions): void {
  check(options, 'options', 'object')
  checkNames(options, 'serve', Object.keys(fields))
  checkFieldsOf(options, fields)
  if (options.allowedHosts) checkList(options.allowedHosts, 'allowedHosts', 'string', 0)
  if (options.caches) checkList(options.caches, 'caches', 'path', 0)
  if (options.eviction)
    checkNames(options.eviction, 'eviction', ['level', 'scores', 'ratio', 'rule', 'sink', 'recent', 'sweep'])
}

/** Everything filled in; only a key, a folder and an eviction may be absent. */
export type CheckedOptions = {
  [K in keyof ServeOptions]-?: K extends 'eviction' | 'apiKey' | 'cacheDir'
    ? ServeOptions[K]
    : NonNullable<ServeOptions[K]>
}

/** @throws RangeError for an option out of range, InputError for an empty key, or scores of another model */
export async function checkOptions(model: Model, options: ServeOptions): Promise<CheckedOptions> {
  checkKinds(options)
  const {
    host = '127.0.0.1',
    port = 8080,
    allowedHosts = [],
    apiKey,
    cacheBytes = Math.min(2 ** 33, Math.floor(totalmem() / 4)),
    caches = [],
    cacheDir,
    cacheDirBytes = 2 ** 36,
    maxNewTokens = 2048,
    maxWaiting = 64,
    maxRequestBytes = 2 ** 20 + 16 * model.description.reach,
    drainSeconds = 30,
    log = false,
    onNote = () => {},
    whileReading = (_, read) => read(() => {}),
  } = options
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw invalidParameter('port', 'an integer from 0 to 65535', port)
  for (const each of allowedHosts)
    if (each !== '*' && !parseHost(each))
      throw invalidParameter(
        'allowedHosts',
        'names or addresses such as llm.example.com, 10.0.0.5:8080 or *',
        each,
      )
  if (!(drainSeconds >= 0)) throw invalidParameter('drainSeconds', 'a number of seconds', drainSeconds)
  const counts = { cacheBytes, cacheDirBytes, maxNewTokens, maxWaiting, maxRequestBytes }
  for (const [name, value] of Object.entries(counts))
    if (!Number.isSafeInteger(value) || value < 1) throw invalidParameter(name, 'a positive integer', value)
  if (apiKey !== undefined && apiKey.trim() === '') throw new InputError('the API key is empty')
  const eviction = options.eviction && (await checkEviction(model, options.eviction))
  return {
    ...{ host, port, allowedHosts, apiKey, eviction, caches, cacheDir, ...counts, drainSeconds },
    log,
    onNote,
    whileReading,
  }
}

/** Once and now, not with every context. */
async function checkEviction(model: Model, eviction: Eviction): Promise<Eviction> {
  const { level = 'head', ratio } = eviction
  checkLevel({ ...eviction, level, ratio: checkRatio(ratio) })
  if (eviction.sweep !== undefined) checkOneOf(eviction.sweep, 'sweep', ['full', 'chunk', 'block'])
  if (typeof eviction.scores === 'object' && !(eviction.scores instanceof URL)) checkScores(eviction.scores)
  const scores = await readGiven(eviction.scores)
  if (scores) checkScoresFit(scores, model.identity)
  else if (!isPairLevel(level)) throw missingHeadScores(level)
  return { ...eviction, scores }
}
