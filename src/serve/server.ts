/** An OpenAI-compatible server over one model. */

import { totalmem } from 'node:os'
import Fastify, { type FastifyInstance } from 'fastify'
import { checkRatio, InputError, invalidParameter } from '../errors.js'
import { checkLevel, isPairLevel, missingHeadScores } from '../inference/levels.js'
import type { Model } from '../inference/model.js'
import { checkScoresFit } from '../inference/scores-fit.js'
import { readScores } from '../scores/arrow.js'
import { bearerCheck } from './auth.js'
import type { Eviction } from './contexts.js'
import { ApiError, apiErrorOf, busy, sendError } from './errors.js'
import { chatRoute } from './routes/chat.js'
import { healthRoute } from './routes/health.js'
import { modelRoutes } from './routes/models.js'
import { ChatService } from './service.js'

export interface ServeOptions {
  /** Only this machine can reach the default, 127.0.0.1. */
  host?: string | undefined
  /** 0 takes one that is free. */
  port?: number | undefined
  /** What is evicted of every context; nothing when left out. */
  eviction?: Eviction | undefined
  /** Asked of every request but /health. */
  apiKey?: string | undefined
  /** Bytes of KV kept for contexts that may come again; 8 GiB, but at most a quarter of the machine's memory. */
  cacheBytes?: number | undefined
  /** Longest answer, and the length of one that names no limit; 2048. */
  maxNewTokens?: number | undefined
  /** Requests that may wait for their turn; 256. */
  maxWaiting?: number | undefined
  /** Largest request, in bytes; by default 1 MiB and 16 bytes for every position of the model. */
  maxRequestBytes?: number | undefined
  /** How long `close` waits for answers before it stops them; 30. */
  drainSeconds?: number | undefined
  /** One line a request on stderr, without headers and texts. */
  log?: boolean | undefined
}

export interface RunningServer {
  /** `http://127.0.0.1:8080` */
  url: string
  /** Budget of contexts kept. */
  cacheBytes: number
  /** Takes no more requests, lets the accepted ones finish, gives the caches' memory back. The model stays open. */
  close(): Promise<void>
}

/** @throws InputError when host and port cannot be listened on, RangeError for an option out of range */
export async function serve(model: Model, options: ServeOptions = {}): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 8080, drainSeconds = 30 } = options
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw invalidParameter('port', 'an integer from 0 to 65535', port)
  if (!(drainSeconds >= 0)) throw invalidParameter('drainSeconds', 'a number of seconds', drainSeconds)
  const eviction = options.eviction && (await checkEviction(model, options.eviction))
  const { app, service, drain } = buildServer(model, { ...options, eviction })
  let url: string
  try {
    url = await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw new InputError(`cannot listen on ${host}, port ${port}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  return {
    url,
    cacheBytes: service.contexts.budgetBytes,
    async close() {
      drain()
      const timer = setTimeout(() => service.stop(), drainSeconds * 1000)
      try {
        await app.close()
      } finally {
        clearTimeout(timer)
        await service.close()
      }
    },
  }
}

/** Once and now, not with every context. */
async function checkEviction(model: Model, eviction: Eviction): Promise<Eviction> {
  const { level = 'head', ratio } = eviction
  checkLevel({ ...eviction, level, ratio: checkRatio(ratio) })
  const scores = typeof eviction.scores === 'string' ? await readScores(eviction.scores) : eviction.scores
  if (scores) checkScoresFit(scores, model.identity)
  else if (!isPairLevel(level)) throw missingHeadScores(level)
  return { ...eviction, scores }
}

interface BuiltServer {
  app: FastifyInstance
  service: ChatService
  /** From now on requests are refused. */
  drain(): void
}

function buildServer(model: Model, options: ServeOptions): BuiltServer {
  const {
    apiKey,
    eviction,
    cacheBytes = Math.min(2 ** 33, Math.floor(totalmem() / 4)),
    maxNewTokens = 2048,
    maxWaiting = 256,
    maxRequestBytes = 2 ** 20 + 16 * model.description.spec.maxPositions,
    log = false,
  } = options
  for (const [name, value] of Object.entries({ cacheBytes, maxNewTokens, maxWaiting, maxRequestBytes }))
    if (!Number.isSafeInteger(value) || value < 1) throw invalidParameter(name, 'a positive integer', value)
  if (apiKey !== undefined && apiKey.trim() === '') throw new InputError('the API key is empty')
  const service = new ChatService(model, { eviction, cacheBytes, maxNewTokens, maxWaiting })
  let draining = false
  const app = Fastify({
    bodyLimit: maxRequestBytes,
    // A client that is slow to ask holds a connection, not more.
    requestTimeout: 60_000,
    // Our own refusal has the envelope that clients know.
    return503OnClosing: false,
    // pino on stderr: method, address and status; stdout belongs to the command.
    logger: log ? { level: 'info', stream: process.stderr } : false,
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, verbose: true },
    },
  })
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _, reply) => sendError(reply, apiErrorOf(error)))
  app.setNotFoundHandler((request, reply) =>
    sendError(reply, new ApiError(404, `there is no ${request.method} ${request.url.slice(0, 80)} here`)),
  )
  app.addHook('onRequest', async (_, reply) => {
    if (!draining) return
    reply.header('connection', 'close')
    throw busy('the server is shutting down')
  })
  // A connection that turned idle after closing began would be waited for until its own time is out.
  app.addHook('onResponse', async ({ raw }) => {
    if (draining) raw.socket.end()
  })
  healthRoute(app, service)
  app.register(async (guarded) => {
    if (apiKey !== undefined) {
      const check = bearerCheck(apiKey)
      guarded.addHook('onRequest', async (request) => check(request))
    }
    modelRoutes(guarded, service)
    chatRoute(guarded, service, maxNewTokens)
  })
  return {
    app,
    service,
    drain: () => {
      draining = true
    },
  }
}
