import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { hostname } from 'node:os'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import type { ApiError } from '../../src/serve/errors.js'
import { hostCheck } from '../../src/serve/hosts.js'
import { profile, startServer, user } from './start.js'

const body = JSON.stringify({ model: 'nano', messages: [user(`${profile}\n\nWhat is my name?`)] })

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

interface Asked {
  path?: string
  method?: string
  headers?: Record<string, string | string[]>
}

/** Asks 127.0.0.1 under any name, as a browser does whose name server was made to say so. */
async function ask(
  url: string,
  { path = '/health', method = 'GET', headers = {} }: Asked,
  name = '127.0.0.1',
): Promise<Answer> {
  const sent = request({
    hostname: name,
    lookup: (_, options, done) =>
      options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    port: new URL(url).port,
    path,
    method,
    agent: false,
    headers: { 'content-type': 'application/json', ...headers },
  })
  sent.end(method === 'POST' ? body : undefined)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const part of answer) text += String(part)
  return { status: answer.statusCode!, headers: answer.headers, text }
}

describe('a server on loopback', () => {
  const started = startServer()
  const port = (): string => new URL(started().server.url).port

  it.each<[string, Asked]>([
    ['its health', { path: '/health' }],
    ['its models', { path: '/v1/models' }],
    ['one model', { path: '/v1/models/nano' }],
    ['a chat', { path: '/v1/chat/completions', method: 'POST' }],
    ['what it does not have', { path: '/admin' }],
    ['an address that is none', { path: '/v1/%' }],
    ['what it would allow other pages', { path: '/v1/chat/completions', method: 'OPTIONS' }],
  ])('keeps %s from a page whose name was made to resolve to it', async (_, asked) => {
    const { status, headers, text } = await ask(started().server.url, asked, 'rebound.example')
    expect(JSON.parse(text)).toEqual({
      error: {
        message: `this server does not answer to the host 'rebound.example:${port()}': it is not in allowedHosts (--allowed-hosts)`,
        type: 'invalid_request_error',
        param: null,
        code: 'host_not_allowed',
      },
    })
    expect(status).toBe(403)
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  it('answers to localhost and to its address, with its port, and to no other spelling of a host', async () => {
    const { url } = started().server
    const status = async (host: string | string[]): Promise<number> =>
      (await ask(url, { headers: { host } })).status
    const at = port()
    for (const host of [
      `localhost:${at}`,
      `LocalHost:${at}`,
      `127.0.0.1:${at}`,
      `[::1]:${at}`,
      `[0:0::1]:${at}`,
    ])
      expect([host, await status(host)]).toEqual([host, 200])
    for (const host of [
      'localhost',
      'localhost:1',
      `127.0.0.2:${at}`,
      `0.0.0.0:${at}`,
      `localhost.rebound.example:${at}`,
      `127.0.0.1.rebound.example:${at}`,
      `rebound.example@127.0.0.1:${at}`,
      `127.0.0.1:${at}@rebound.example`,
      `127.0.0.1:${at}/rebound.example`,
      `${hostname()}:${at}`,
      `:${at}`,
      '[::1',
    ])
      expect([host, await status(host)]).toEqual([host, 403])
  })

  it.each([
    ['no host', 'GET /health HTTP/1.0\r\n'],
    ['an empty host', 'GET /health HTTP/1.1\r\nHost: \r\n'],
    ['two hosts', 'GET /health HTTP/1.1\r\nHost: localhost:PORT\r\nHost: rebound.example\r\n'],
  ])('answers none that names %s', async (_, head) => {
    const socket = connect(Number(port()), '127.0.0.1')
    socket.end(`${head.replace('PORT', port())}Connection: close\r\n\r\n`)
    let text = ''
    for await (const part of socket) text += String(part)
    expect(text).toMatch(/^HTTP\/1\.1 40[03] /)
    expect(text).not.toContain('nano')
  })

  it('says of an address that is none what it says of all that is wrong', async () => {
    const { status, text } = await ask(started().server.url, { path: '/v1/%' })
    expect([status, JSON.parse(text)]).toMatchObject([400, { error: { message: '/v1/% is not an address' } }])
  })

  it('answers its own pages, and none of other sites', async () => {
    const { url } = started().server
    const chat = { path: '/v1/chat/completions', method: 'POST' }
    for (const origin of [url, `http://localhost:${port()}`]) {
      const { text } = await ask(url, { ...chat, headers: { origin } })
      expect(text).toContain('"content":"Kim"')
    }
    for (const origin of ['http://rebound.example', 'http://localhost', 'null', 'file://', 'nonsense']) {
      const { status, text } = await ask(url, { ...chat, headers: { origin } })
      expect([origin, status]).toEqual([origin, 403])
      expect(text).toContain(`this server does not answer pages of '${origin}': it is not in allowedHosts`)
    }
  })
})

describe('a server behind a proxy', () => {
  const started = startServer({ allowedHosts: ['llm.example.com', '10.0.0.5:8080', '::1'] })

  it('answers to the hosts it was told, under the port if one was told', async () => {
    const { url } = started().server
    const status = async (host: string, origin?: string): Promise<number> =>
      (await ask(url, { headers: { host, ...(origin !== undefined && { origin }) } })).status
    for (const host of ['llm.example.com', 'LLM.example.com:8443', '10.0.0.5:8080', '[::1]:9'])
      expect([host, await status(host)]).toEqual([host, 200])
    for (const host of ['10.0.0.5', '10.0.0.5:8081', 'example.com', 'x.llm.example.com'])
      expect([host, await status(host)]).toEqual([host, 403])
    const own = new URL(url).host
    expect(await status(own, 'https://llm.example.com')).toBe(200)
    expect(await status('llm.example.com', 'https://llm.example.com')).toBe(200)
    expect(await status('llm.example.com', 'https://rebound.example')).toBe(403)
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
    expect((await client.models.retrieve('nano')).id).toBe('nano')
  })
})

describe('a server that answers to any host', () => {
  const started = startServer({ allowedHosts: ['*'] })

  it('answers any page, too', async () => {
    const headers = { origin: 'http://other.example' }
    expect((await ask(started().server.url, { headers }, 'rebound.example')).status).toBe(200)
  })
})

describe('a server on all interfaces', () => {
  /** The check of a server that listens on `host`, here on loopback alone. */
  async function answers(
    host: string,
    allowedHosts: string[],
    use: (status: (host: string, origin?: string) => Promise<number>, port: number) => Promise<void>,
  ): Promise<void> {
    const check = hostCheck({ host, allowedHosts })
    const server = createServer((raw, reply) => {
      try {
        check({ raw } as Parameters<typeof check>[0])
        reply.end()
      } catch (error) {
        reply.writeHead((error as ApiError).status).end()
      }
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const status = async (name: string, origin?: string): Promise<number> =>
      (
        await ask(`http://127.0.0.1:${port}`, {
          headers: { host: name, ...(origin !== undefined && { origin }) },
        })
      ).status
    await use(status, port)
    server.close()
  }

  it.each(['0.0.0.0', '::', '0'])(
    'answers under names it cannot know, but no page of another: %s',
    async (host) => {
      await answers(host, [], async (status) => {
        expect(await status('gpu-box:8080')).toBe(200)
        expect(await status('headzip.internal', 'https://headzip.internal')).toBe(200)
        expect(await status('headzip.internal', 'https://rebound.example')).toBe(403)
        expect(await status('not a host')).toBe(403)
      })
    },
  )

  it('answers to the hosts that were named, where some were', async () => {
    await answers('0.0.0.0', ['gpu-box'], async (status, port) => {
      expect(await status('gpu-box:8080')).toBe(200)
      for (const own of ['localhost', '127.0.0.1', hostname()])
        expect([own, await status(`${own}:${port}`)]).toEqual([own, 200])
      expect(await status(`rebound.example:${port}`)).toBe(403)
    })
  })

  it('or on one address answers to that and to the name of the machine', async () => {
    await answers('192.0.2.7', [], async (status, port) => {
      for (const own of ['192.0.2.7', 'localhost', hostname()])
        expect([own, await status(`${own}:${port}`)]).toEqual([own, 200])
      expect(await status(`rebound.example:${port}`)).toBe(403)
    })
  })
})
