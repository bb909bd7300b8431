import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type HubWait, waitAfter } from '../../src/hub/retry.js'
import { headzip } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { bytes, fetching, isShard } from './fetching.js'
import { settingsFor, shard } from './repos.js'
import { refuse, sha256 } from './server.js'

const { hub, at, fetchIt, refusal } = fetching()

/** The first requests for the shard are refused so. */
function refuseFirst(times: number, status: number, headers: object = {}): void {
  let refused = 0
  hub.interfere = ({ url }, response) => {
    if (!isShard(url) || refused >= times) return false
    refused++
    refuse(response, status, '', headers)
    return true
  }
}

function refuseAll(status: number, headers: object = {}): void {
  hub.interfere = (_, response) => {
    refuse(response, status, '', headers)
    return true
  }
}

/** Fetches the sharded model. @returns the waits that were told */
async function waitsOf(): Promise<HubWait[]> {
  const waits: HubWait[] = []
  const snapshot = await fetchIt('tests/sharded', { onWait: (wait) => waits.push(wait) })
  expect(sha256(readFileSync(join(snapshot, shard)))).toBe(sha256(bytes))
  return waits
}

describe('a hub that fails for a while', () => {
  it.each([429, 408, 500, 502, 503, 504])('is asked again after %d', async (status) => {
    refuseFirst(2, status)
    const waits = await waitsOf()
    expect(waits.map(({ attempt, tries }) => [attempt, tries])).toEqual([
      [1, 5],
      [2, 5],
    ])
    const said = status === 429 ? 'too many requests (429)' : `it answers ${status}`
    expect(waits[0]?.why).toBe(`${hub.endpoint}: ${said}`)
  })

  it('is asked again after a connection that broke before the answer', async () => {
    let broken = 0
    hub.interfere = ({ url }, response) => {
      if (!url.includes('/revision/') || broken++ > 1) return false
      response.destroy()
      return true
    }
    const waits = await waitsOf()
    expect(waits.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(waits[0]?.why).toMatch(/: other side closed$/)
  })

  it.each([
    ['Retry-After in seconds', { 'retry-after': '1' }],
    ['the time to the next window of its limit', { ratelimit: '"resolvers";r=0;t=1' }],
  ])('is left alone as long as it asks: %s', async (_, headers) => {
    refuseFirst(1, 429, headers)
    const started = performance.now()
    const [wait] = await waitsOf()
    expect(performance.now() - started).toBeGreaterThanOrEqual(1000)
    expect(wait?.seconds).toBeGreaterThanOrEqual(1)
    expect(wait?.seconds).toBeLessThan(1.1)
  })

  it('is left alone until the date that it names', async () => {
    refuseFirst(1, 503, { 'retry-after': new Date(Date.now() + 2000).toUTCString() })
    const [wait] = await waitsOf()
    expect(wait?.seconds).toBeGreaterThan(0.5)
    expect(wait?.seconds).toBeLessThan(2.1)
  })
})

describe('patience ends', () => {
  it('after five tries', async () => {
    refuseAll(503)
    expect(await refusal(fetchIt())).toBe('HUB cannot be reached: it answers 503 (5 tries in T s)')
    expect(hub.asked).toHaveLength(5)
  })

  it('after five refusals for too many requests', async () => {
    refuseAll(429)
    at.settings = settingsFor(hub, { token: 'hf_right' })
    expect(await refusal(fetchIt())).toBe('HUB has had too many requests (429, 5 tries): try again in 1 s')
    expect(hub.asked).toHaveLength(5)
  })

  it.each([
    [
      429,
      'HUB has had too many requests (429, 1 try): try again in 3600 s, or set HF_TOKEN, with which the limit is higher',
    ],
    [503, 'HUB cannot be reached: it answers 503 and asks to wait 3600 s (1 try in T s)'],
  ])('at once where a hub asks with %d for more than is waited in all', async (status, sentence) => {
    refuseAll(status, { 'retry-after': '3600' })
    expect(await refusal(fetchIt())).toBe(sentence)
    expect(hub.asked).toHaveLength(1)
  })

  it('where the tries together take too long', async () => {
    refuseAll(503)
    at.settings = settingsFor(hub, { backoffSeconds: 0.1, patienceSeconds: 0.25 })
    const started = performance.now()
    expect(await refusal(fetchIt())).toMatch(/^HUB cannot be reached: it answers 503 \([23] tries in T s\)$/)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('with an interrupt in the middle of a wait', async () => {
    refuseAll(429, { 'retry-after': '60' })
    const control = new AbortController()
    const failed = fetchIt('tests/sharded', { signal: control.signal, onWait: () => control.abort() })
    await expect(failed).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
  })

  it('not with answers that are final', async () => {
    const waits: HubWait[] = []
    refuseAll(403)
    await refusal(fetchIt('tests/sharded', { onWait: (wait) => waits.push(wait) }))
    expect(waits).toEqual([])
    expect(hub.asked).toHaveLength(1)
  })
})

describe('the wait before the next try', () => {
  const settings = { backoffSeconds: 1 }
  const [least, most] = [() => 0, () => 0.999]

  it('doubles, and half of it is left to chance', () => {
    expect([1, 2, 3, 4].map((attempt) => waitAfter(attempt, settings, undefined, least))).toEqual([
      0.5, 1, 2, 4,
    ])
    expect([1, 2, 3, 4].map((attempt) => Math.round(waitAfter(attempt, settings, undefined, most)))).toEqual([
      1, 2, 4, 8,
    ])
    expect(new Set(Array.from({ length: 20 }, () => waitAfter(1, settings))).size).toBeGreaterThan(1)
  })

  it('is never shorter than what the server asks for', () => {
    expect(waitAfter(1, settings, 30, least)).toBe(30)
    expect(waitAfter(4, settings, 30, most)).toBeCloseTo(30.999)
  })
})

it('the command line says on stderr that it waits, and nothing with --progress none', async () => {
  const env = {
    ...{ HF_HOME: join(scratchFolder(), 'hf'), HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: '' },
    ...{ HF_TOKEN: '', HF_HUB_OFFLINE: '', NO_PROXY: '*', no_proxy: '*' },
  }
  const download = async (progress: string) => {
    refuseFirst(1, 429, { 'retry-after': '1' })
    const home = join(scratchFolder(), 'hf')
    return headzip(['download', 'tests/sharded', '--progress', progress], { env: { ...env, HF_HOME: home } })
  }
  const [plain, none] = [await download('plain'), await download('none')]
  expect({ plain: plain.code, none: none.code }).toEqual({ plain: 0, none: 0 })
  expect(plain.err.replaceAll(hub.endpoint, 'HUB')).toMatch(
    /^tests\/sharded: HUB: too many requests \(429\); trying again in 1\.\d s \(1 of 5 tries made\)\n$/,
  )
  expect(none.err).toBe('')
})
