import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bytes, fetching, isShard } from './fetching.js'
import { settingsFor, shard } from './repos.js'
import { FakeHub, refuse, sha256 } from './server.js'

const { hub, at, fetchIt, refusal } = fetching()

describe('a hub that refuses', () => {
  it.each([
    [
      'a name it does not tell strangers about',
      'tests/nothing',
      undefined,
      'tests/nothing does not exist on HUB or needs a login (401): check the name, or set HF_TOKEN',
    ],
    [
      'a name that does not exist',
      'tests/nothing',
      'hf_right',
      'tests/nothing does not exist on HUB (404): check the name and the revision',
    ],
    [
      'a gated model without a token',
      'tests/secret',
      undefined,
      'HUB refuses tests/secret (401): accept its terms at HUB/tests/secret, and set HF_TOKEN to a token that may read it',
    ],
    [
      'a gated model with a token that may not',
      'tests/secret',
      'hf_wrong',
      'HUB refuses tests/secret (403): accept its terms at HUB/tests/secret, and use a token that may read it',
    ],
    [
      'a revision that does not exist',
      'tests/sharded@v9',
      undefined,
      'tests/sharded has no revision v9 on HUB',
    ],
  ])('is understood for %s', async (_, name, token, sentence) => {
    at.settings = settingsFor(hub, { token })
    expect(await refusal(fetchIt(name))).toBe(sentence)
    expect(existsSync(at.settings.cacheFolder)).toBe(false)
  })

  it('is understood for a token it does not know', async () => {
    at.settings = settingsFor(hub, { token: 'hf_expired' })
    hub.interfere = (_, response) => {
      refuse(response, 401, '')
      return true
    }
    expect(await refusal(fetchIt())).toBe(
      'HUB does not accept the Hugging Face token for tests/sharded (401): check HF_TOKEN or the token file, and the name',
    )
  })

  it('is waited for when it asks for patience', async () => {
    let refused = 0
    hub.interfere = ({ url }, response) => {
      if (!isShard(url) || refused++ > 0) return false
      refuse(response, 429, '', { 'retry-after': '1' })
      return true
    }
    const started = performance.now()
    expect(sha256(readFileSync(join(await fetchIt(), shard)))).toBe(sha256(bytes))
    expect(performance.now() - started).toBeGreaterThanOrEqual(1000)
  })

  it('is reported when it asks for too much patience', async () => {
    hub.interfere = (_, response) => {
      refuse(response, 429, '', { 'retry-after': '3600' })
      return true
    }
    expect(await refusal(fetchIt())).toBe(
      'HUB has had too many requests (429): try again in 3600 s, or set HF_TOKEN, with which the limit is higher',
    )
    expect(hub.asked).toHaveLength(1)
  })

  it('is asked again when it fails, and given up after four tries', async () => {
    hub.interfere = (_, response) => {
      refuse(response, 503, '')
      return true
    }
    expect(await refusal(fetchIt())).toBe('HUB cannot be reached: it answers 503')
    expect(hub.asked).toHaveLength(4)
  })
})

describe('without the hub', () => {
  it('serves a model that is in the cache', async () => {
    const snapshot = await fetchIt()
    hub.asked.length = 0
    at.settings = { ...at.settings, offline: true }
    expect(await fetchIt()).toBe(snapshot)
    expect(hub.asked).toEqual([])
  })

  it('says that a model is not in the cache, or what it lacks', async () => {
    at.settings = { ...at.settings, offline: true }
    expect(await refusal(fetchIt())).toBe(
      'tests/sharded is not in the cache CACHE/models--tests--sharded, and HF_HUB_OFFLINE is set',
    )
    at.settings = { ...at.settings, offline: false }
    rmSync(join(await fetchIt(), shard))
    at.settings = { ...at.settings, offline: true }
    expect(await refusal(fetchIt())).toBe(
      `tests/sharded is incomplete (without ${shard}) in the cache CACHE/models--tests--sharded, and HF_HUB_OFFLINE is set`,
    )
  })

  it('serves a chosen .gguf file from the cache, and misses another', async () => {
    const path = await fetchIt('tests/quantised-GGUF:Q8_0')
    at.settings = { ...at.settings, offline: true }
    expect(await fetchIt('tests/quantised-GGUF')).toBe(path)
    expect(await refusal(fetchIt('tests/quantised-GGUF:Q4'))).toContain(
      'is incomplete (without Q4) in the cache',
    )
  })

  it('takes the cached copy when no connection can be had, and says so without one', async () => {
    const snapshot = await fetchIt()
    const closed = await new FakeHub([]).start()
    await closed.stop()
    at.settings = { ...at.settings, endpoint: closed.endpoint }
    expect(await fetchIt()).toBe(snapshot)
    expect(await refusal(fetchIt('tests/other'))).toMatch(/cannot be reached: connect ECONNREFUSED/)
  })

  it('does not take the cached copy of what the hub now refuses', async () => {
    await fetchIt()
    hub.interfere = (_, response) => {
      refuse(response, 403, 'GatedRepo')
      return true
    }
    expect(await refusal(fetchIt())).toContain('HUB refuses tests/sharded (403)')
  })
})
