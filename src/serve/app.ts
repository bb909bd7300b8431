/** The service over HTTP: limits, errors, the key, the routes. */

import Fastify, { type FastifyInstance } from 'fastify'
import { escapeLines } from '../escape.js'
import { bearerCheck } from './auth.js'
import { ApiError, apiErrorOf, busy, sendError } from './errors.js'
import { hostCheck } from './hosts.js'
import type { CheckedOptions } from './options.js'
import { chatRoute } from './routes/chat.js'
import { healthRoute } from './routes/health.js'
import { modelRoutes } from './routes/models.js'
import type { ChatService } from './service.js'

export interface ServiceApp {
  app: FastifyInstance
  /** From now on requests are refused. */
  drain(): void
}

export function buildApp(service: ChatService, options: CheckedOptions): ServiceApp {
  const { apiKey, maxRequestBytes, maxNewTokens, log } = options
  let draining = false
  const checkHost = hostCheck(options)
  const app = Fastify({
    bodyLimit: maxRequestBytes,
    // A client that is slow to ask holds a connection, not more.
    requestTimeout: 60_000,
    // Our own refusal has the envelope that clients know.
    return503OnClosing: false,
    // An address that cannot be decoded meets no hook.
    frameworkErrors: (_, request, reply) => {
      try {
        checkHost(request)
        throw new ApiError(400, `${request.url.slice(0, 80)} is not an address`)
      } catch (error) {
        return sendError(reply, apiErrorOf(error))
      }
    },
    // pino on stderr: method, address and status; stdout belongs to the command. Headers may hold any byte.
    logger: log
      ? { level: 'info', stream: { write: (line) => void process.stderr.write(escapeLines(line)) } }
      : false,
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, verbose: true },
    },
  })
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, request, reply) => {
    const answer = apiErrorOf(error)
    if (answer.status === 500) request.log.error(error)
    return sendError(reply, answer)
  })
  app.setNotFoundHandler((request, reply) =>
    sendError(reply, new ApiError(404, `there is no ${request.method} ${request.url.slice(0, 80)} here`)),
  )
  app.addHook('onRequest', async (request) => checkHost(request))
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
    drain: () => {
      draining = true
    },
  }
}
