import type { FastifyInstance, FastifyReply } from 'fastify'
import { abortError } from '../../engine/job.js'
import { apiErrorOf } from '../errors.js'
import { chunk, completion, newHead, usageChunk } from '../reply.js'
import { type ChatRequest, chatSchema } from '../schema.js'
import type { ChatService, PreparedChat } from '../service.js'
import { EventStream } from '../sse.js'

export function chatRoute(app: FastifyInstance, service: ChatService, maxNewTokens: number): void {
  app.post<{ Body: ChatRequest }>(
    '/v1/chat/completions',
    { schema: { body: chatSchema(maxNewTokens) } },
    async ({ body }, reply) => {
      const controller = abortOnDisconnect(reply)
      const chat = await service.prepare(body, controller)
      if (body.stream) return stream(service, chat, controller, reply)
      return completion(newHead(body.model), await service.answer(chat, controller))
    },
  )
}

/** A client that hangs up wants no answer any more. */
function abortOnDisconnect({ raw }: FastifyReply): AbortController {
  const controller = new AbortController()
  raw.on('close', () => {
    if (!raw.writableFinished) controller.abort(abortError())
  })
  return controller
}

/** What goes wrong before the first text is an ordinary error with its status; afterwards it is an event. */
async function stream(
  service: ChatService,
  chat: PreparedChat,
  controller: AbortController,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const head = newHead(chat.request.model)
  const withUsage = chat.request.stream_options?.include_usage === true
  const usage = withUsage ? null : undefined
  const events = new EventStream()
  let begin = (): void => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  events.send(chunk(head, { role: 'assistant', content: '' }, null, usage))
  const answered = service.answer(chat, controller, (content) => {
    events.send(chunk(head, { content }, null, usage))
    begin()
  })
  await Promise.race([begun, answered])
  answered.then(
    (answer) => {
      events.send(chunk(head, {}, answer.finishReason, usage))
      if (withUsage) events.send(usageChunk(head, answer))
      events.end()
    },
    (error: unknown) => events.fail(apiErrorOf(error).envelope),
  )
  return reply.type('text/event-stream').header('cache-control', 'no-cache').send(events.body)
}
