import { monitorEventLoopDelay } from 'node:perf_hooks'
import { describe, expect, it } from 'vitest'
import { SharedWork } from '../../src/serve/shared-work.js'
import { profile, startServer, user } from './start.js'

const question = { model: 'nano', max_tokens: 1, messages: [user(`${profile}\n\nWhat is my name?`)] }

describe('a client who sends 800 kB of blanks', () => {
  const started = startServer()

  it('holds up neither the server nor the question of another', async () => {
    const { post, server } = started()
    expect((await post(question)).status).toBe(200)
    const order: string[] = []
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    const long = post({ ...question, context: `${' '.repeat(800_000)}x` }).then(async (response) => {
      order.push('long')
      return response
    })
    // Once it has arrived.
    await new Promise((resolve) => setTimeout(resolve, 100))
    const health = fetch(`${server.url}/health`).then(() => order.push('health'))
    const short = post(question).then(async (response) => {
      order.push('short')
      return response.status
    })
    await health
    expect(await short).toBe(200)
    const response = await long
    delay.disable()
    expect(response.status).toBe(400)
    expect(((await response.json()) as { error: { message: string } }).error.message).toMatch(
      /^the messages have 25\d{3} tokens, but nano has 8192 positions; fewer or shorter messages fit, or a rope_scaling of type yarn in its config\.json reaches further$/,
    )
    expect(order.at(-1)).toBe('long')
    // In nanoseconds: nothing held up the loop for half a second.
    expect(delay.max / 1e9).toBeLessThan(0.5)
  })
})

describe('clients who go away while their texts are tokenised', () => {
  const started = startServer({ maxWaiting: 1, maxRequestBytes: 2 ** 24 })

  it('have a place in the queue until then, and none afterwards', async () => {
    const { post, server } = started()
    const waiting = async (): Promise<number> =>
      ((await (await fetch(`${server.url}/health`)).json()) as { waiting: number }).waiting
    const stop = new AbortController()
    const gone = ['x', 'y'].map((end) =>
      post({ ...question, context: ' '.repeat(7_000_000) + end }, { signal: stop.signal }).then(
        () => 'answered',
        (error: Error) => error.name,
      ),
    )
    await expect.poll(waiting, { timeout: 20_000 }).toBe(2)
    expect((await post(question)).status).toBe(503)
    stop.abort()
    expect(await Promise.all(gone)).toEqual(['AbortError', 'AbortError'])
    await expect.poll(waiting, { timeout: 20_000 }).toBe(0)
    expect((await post(question)).status).toBe(200)
  })
})

describe('work that several wait for', () => {
  /** Ends when it is told to, or stopped. */
  function work() {
    let finish = (_: string): void => {}
    let stopped = false
    const shared = new SharedWork<string>(
      (signal) =>
        new Promise((resolve, reject) => {
          finish = resolve
          signal.addEventListener('abort', () => {
            stopped = true
            reject(new Error('stopped'))
          })
        }),
    )
    return { shared, finish: (value: string) => finish(value), stopped: () => stopped }
  }
  const reason = new Error('gone')

  it('goes on until the last of them has gone, and is useless from then on', async () => {
    const { shared, stopped } = work()
    const [first, second] = [new AbortController(), new AbortController()]
    const waits = [first, second].map(({ signal }) => shared.wait(signal))
    first.abort(reason)
    await expect(waits[0]).rejects.toBe(reason)
    expect([stopped(), shared.failed]).toEqual([false, false])
    second.abort(reason)
    await expect(waits[1]).rejects.toBe(reason)
    expect([stopped(), shared.failed]).toEqual([true, true])
  })

  it('gives those who stayed its result, and those who come later', async () => {
    const { shared, finish, stopped } = work()
    const gone = new AbortController()
    const waits = [gone, new AbortController()].map(({ signal }) => shared.wait(signal))
    gone.abort(reason)
    finish('done')
    await expect(waits[0]).rejects.toBe(reason)
    expect(await waits[1]).toBe('done')
    expect(await shared.wait(new AbortController().signal)).toBe('done')
    expect([stopped(), shared.failed]).toEqual([false, false])
  })
})
