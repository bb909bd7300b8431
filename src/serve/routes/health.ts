import type { FastifyInstance } from 'fastify'
import type { ChatService } from '../service.js'

/** For whoever watches over the server; needs no key. */
export function healthRoute(app: FastifyInstance, service: ChatService): void {
  app.get('/health', async () => ({
    status: 'ok',
    model: service.model.description.id,
    waiting: service.waiting,
    contexts: service.contexts.count,
    context_bytes: service.contexts.bytes,
  }))
}
