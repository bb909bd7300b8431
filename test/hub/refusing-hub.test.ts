import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fetching } from './fetching.js'
import { settingsFor, shard } from './repos.js'
import { FakeHub, refuse } from './server.js'

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
