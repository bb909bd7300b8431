/** An OpenAI-compatible server over one model. */

import { InputError } from '../errors.js'
import { checkModel, type Model } from '../inference/model.js'
import { buildApp } from './app.js'
import { Contexts } from './contexts.js'
import { checkOptions, type ServeOptions } from './options.js'
import { ChatService } from './service.js'

export interface RunningServer {
  /** `http://127.0.0.1:8080` */
  url: string
  /** Budget of contexts kept. */
  cacheBytes: number
  /** Contexts that are there already. */
  contexts: number
  /** Takes no more requests, lets the accepted ones finish, gives the caches' memory back. The model stays open. */
  close(): Promise<void>
}

/** @throws InputError when host and port cannot be listened on or a cache cannot be used, RangeError for an option out of range */
export async function serve(model: Model, options: ServeOptions = {}): Promise<RunningServer> {
  checkModel(model)
  const checked = await checkOptions(model, options)
  const { host, port, cacheBytes, drainSeconds } = checked
  const contexts = await Contexts.open(model, checked)
  const service = new ChatService(model, contexts, checked)
  const { app, drain } = buildApp(service, checked)
  let url: string
  try {
    url = await app.listen({ host, port })
  } catch (error) {
    await app.close()
    await service.close()
    const why = (error as Error).message
    throw new InputError(`cannot listen on ${host}, port ${port}: ${why}`, { cause: error })
  }
  return {
    url,
    cacheBytes,
    contexts: contexts.count,
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
