import { APIUserAbortError } from 'openai'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../src/inference/model.js'
import { serve } from '../../src/serve/server.js'
import { profile, type Started, startServer, user } from './start.js'

const names = ['Kim', 'Anna', 'Peter', 'Laura', 'David', 'Maria', 'James', 'Sarah']
const cities = ['Seoul', 'Paris', 'Berlin', 'London']

/** Answers of the model itself, one a person. */
async function expectedAnswers(): Promise<{ content: string; text: string }[]> {
  const model = await loadModel('nano')
  const cases = []
  for (const [i, name] of names.entries()) {
    const context = profile.replace('Kim', name).replace('Seoul', cities[i % cities.length]!)
    const kv = await model.prefill(context)
    for (const question of ['What is my name?', 'Where do I live?', 'What is my major?'])
      cases.push({
        content: `${context}\n\n${question}`,
        text: String(await model.generate(question, { kv })),
      })
    kv.close()
  }
  model.close()
  return cases
}

async function ask({ client }: Started, content: string, stream: boolean): Promise<string> {
  const request = { model: 'nano', messages: [user(content)] }
  if (!stream) return (await client.chat.completions.create(request)).choices[0]?.message.content ?? ''
  let text = ''
  for await (const { choices } of await client.chat.completions.create({ ...request, stream }))
    text += choices[0]?.delta.content ?? ''
  return text
}

/** Longer in HEADZIP_LOAD_SECONDS: the issue asks for a minute. */
const seconds = Number(process.env.HEADZIP_LOAD_SECONDS ?? 2)

describe('many clients at once', () => {
  // Room for about five of eight contexts: they push one another out.
  const started = startServer({ cacheBytes: 6 * 2 ** 20 })

  it('get their own answers, every one', { timeout: (seconds + 60) * 1000 }, async () => {
    const cases = await expectedAnswers()
    expect(new Set(cases.map(({ text }) => text)).size).toBeGreaterThan(10)
    const end = performance.now() + seconds * 1000
    let answers = 0
    const client = async (id: number): Promise<void> => {
      for (let round = 0; round === 0 || performance.now() < end; round++) {
        const { content, text } = cases[(id * 7 + round * 5) % cases.length]!
        expect([content, await ask(started(), content, (id + round) % 2 === 0)]).toEqual([content, text])
        answers++
      }
    }
    await Promise.all(Array.from({ length: 32 }, (_, id) => client(id)))
    if (process.env.HEADZIP_LOAD_SECONDS) console.log(`${answers} answers in ${seconds} s`)
    expect(answers).toBeGreaterThanOrEqual(32)
    const health = (await (await fetch(`${started().server.url}/health`)).json()) as { context_bytes: number }
    expect(health.context_bytes).toBeLessThanOrEqual(6 * 2 ** 20)
  })
})

/** Makes nano repeat some 1500 tokens. */
const lines = Array.from({ length: 150 }, (_, i) => `line ${i}: ${names[i % 8]} went to ${cities[i % 4]}.`)
const longAnswer = {
  model: 'nano',
  messages: [user(`${lines.join('\n')}\n\nRepeat the previous context exactly.`)],
}

describe('a client that hangs up', () => {
  const started = startServer({ maxWaiting: 2 })

  it('stops its job, running or waiting, and the next one runs', async () => {
    const running = new AbortController()
    const waiting = new AbortController()
    const { client, server } = started()
    const stream = await client.chat.completions.create(
      { ...longAnswer, stream: true },
      { signal: running.signal },
    )
    const queued = client.chat.completions.create(longAnswer, { signal: waiting.signal })
    const count = async (): Promise<number> =>
      ((await (await fetch(`${server.url}/health`)).json()) as { waiting: number }).waiting
    await expect.poll(count).toBe(1)
    waiting.abort()
    await expect(queued).rejects.toBeInstanceOf(APIUserAbortError)
    await expect.poll(count).toBe(0)
    let pieces = 0
    for await (const _ of stream) if (++pieces === 3) running.abort()
    expect(await ask(started(), `${profile}\n\nWhat is my name?`, false)).toBe('Kim')
  })

  it('and one too many is told to come back later', async () => {
    const { client, server } = started()
    const stop = new AbortController()
    const jobs = Array.from({ length: 3 }, () =>
      client.chat.completions.create(longAnswer, { signal: stop.signal }).catch((error: unknown) => error),
    )
    await expect
      .poll(async () => ((await (await fetch(`${server.url}/health`)).json()) as { waiting: number }).waiting)
      .toBe(2)
    const refused = await started().post(longAnswer)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await refused.json()).toMatchObject({
      error: { message: '2 requests are waiting already; try again later', code: 'overloaded' },
    })
    stop.abort()
    for (const error of await Promise.all(jobs)) expect(error).toBeInstanceOf(APIUserAbortError)
  })
})

describe('a server that is told to end', () => {
  it('finishes what it has accepted, refuses what comes later, and stops what takes too long', async () => {
    const model = await loadModel('nano')
    for (const { drainSeconds, complete } of [
      { drainSeconds: 60, complete: true },
      { drainSeconds: 0, complete: false },
    ]) {
      const server = await serve(model, { port: 0, drainSeconds })
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...longAnswer, max_tokens: 40, stream: true }),
      })
      const closed = server.close()
      const text = await response.text()
      await closed
      expect(text.endsWith('data: [DONE]\n\n')).toBe(complete)
      if (!complete)
        expect(text).toContain('{"error":{"message":"the request was stopped before its answer was complete"')
      await expect(fetch(`${server.url}/health`)).rejects.toThrow('fetch failed')
    }
    model.close()
  })
})
