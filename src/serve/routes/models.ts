import type { FastifyInstance } from 'fastify'
import type { ChatService } from '../service.js'

/** A server has one model. */
export function modelRoutes(app: FastifyInstance, service: ChatService): void {
  const created = Math.floor(Date.now() / 1000)
  const model = { id: service.model.description.id, object: 'model', created, owned_by: 'headzip' }
  app.get('/v1/models', async () => ({ object: 'list', data: [model] }))
  app.get<{ Params: { model: string } }>('/v1/models/:model', async ({ params }) => {
    service.checkModel(params.model)
    return model
  })
}
