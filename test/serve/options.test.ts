import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import type { ServeOptions } from '../../src/serve/options.js'
import { serve } from '../../src/serve/server.js'
import { makeScores } from '../scores/make.js'

describe('serve refuses', () => {
  let model: Model
  beforeAll(async () => {
    model = await loadModel('nano')
  })
  afterAll(() => model.close())

  it.each<[string, ServeOptions, string]>([
    ['a port past the last', { port: 65536 }, 'port must be an integer from 0 to 65535, got 65536'],
    [
      'a host with its scheme',
      { port: 0, allowedHosts: ['llm.example.com', 'https://llm.example.com'] },
      "allowedHosts must be names or addresses such as llm.example.com, 10.0.0.5:8080 or *, got 'https://llm.example.com'",
    ],
    ['an empty key', { port: 0, apiKey: ' ' }, 'the API key is empty'],
    ['no room for answers', { port: 0, maxNewTokens: 0 }, 'maxNewTokens must be a positive integer, got 0'],
    ['a broken budget', { port: 0, cacheBytes: 0.5 }, 'cacheBytes must be a positive integer, got 0.5'],
    [
      'a ratio of 0',
      { port: 0, eviction: { level: 'pair', ratio: 0 } },
      'ratio must be a number in (0, 1], got 0',
    ],
    [
      'heads without scores',
      { port: 0, eviction: { ratio: 0.5 } },
      'level head needs head scores: pass `scores` to prefill or to prune',
    ],
    [
      'scores of another model',
      { port: 0, eviction: { scores: makeScores(), ratio: 0.5 } },
      'the scores are of nano with 2 x 3 KV heads, but nano has 6 x 4',
    ],
    [
      'to drain into the past',
      { port: 0, drainSeconds: -1 },
      'drainSeconds must be a number of seconds, got -1',
    ],
  ])('%s', async (_, options, message) => {
    await expect(serve(model, options)).rejects.toThrow(message)
  })

  it('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const refused = expect(serve(model, { port })).rejects
    await refused.toThrow(new RegExp(`^cannot listen on 127.0.0.1, port ${port}: .*EADDRINUSE`))
    other.close()
  })
})
