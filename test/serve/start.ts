import OpenAI from 'openai'
import { afterAll, beforeAll } from 'vitest'
import { loadModel } from '../../src/inference/model.js'
import type { ServeOptions } from '../../src/serve/options.js'
import { type RunningServer, serve } from '../../src/serve/server.js'

export interface Started {
  server: RunningServer
  client: OpenAI
  /** A request by hand. */
  post(body: unknown, options?: RequestInit): Promise<Response>
}

/** A model behind a port that is free, for the tests of one file. @param path nano where left out */
export function startServer(options: ServeOptions = {}, path = 'nano'): () => Started {
  let started: Started | undefined
  let end = async (): Promise<void> => {}
  beforeAll(async () => {
    const model = await loadModel(path)
    const server = await serve(model, { port: 0, ...options })
    const client = new OpenAI({
      baseURL: `${server.url}/v1`,
      apiKey: options.apiKey ?? 'none',
      maxRetries: 0,
    })
    started = {
      server,
      client,
      post: (body, init) =>
        fetch(`${server.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: typeof body === 'string' ? body : JSON.stringify(body),
          ...init,
        }),
    }
    end = async () => {
      await server.close()
      model.close()
    }
  })
  afterAll(() => end())
  return () => started!
}

export const profile =
  'This is my basic profile. My name is Kim living in Seoul. My major is computer science.'

export function user(content: string): { role: 'user'; content: string } {
  return { role: 'user', content }
}
