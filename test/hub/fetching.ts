/** A hub, a cache of its own for every test, and what the tests of fetching ask of both. */

import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { InputError } from '../../src/errors.js'
import { fetchModel, type HubOptions } from '../../src/hub/fetch-model.js'
import { parseModelName } from '../../src/hub/repo.js'
import { everything, modelFiles, settingsFor, shard } from './repos.js'
import { FakeHub, sha256 } from './server.js'

export const bytes = modelFiles[shard]!
export const isShard = (url: string): boolean => url.endsWith(sha256(bytes))

/** To be called once, at the top of a test file. */
export function fetching() {
  const hub = new FakeHub(everything)
  const at = { settings: settingsFor(hub) }
  beforeAll(() => hub.start())
  afterAll(() => hub.stop())
  beforeEach(() => {
    hub.asked.length = 0
    hub.interfere = () => false
    hub.chunk = 64 * 1024
    at.settings = settingsFor(hub)
  })

  function fetchIt(name = 'tests/sharded', options: HubOptions = {}): Promise<string> {
    return fetchModel(parseModelName(name)!, { settings: at.settings, ...options })
  }

  async function refusal(act: Promise<unknown>): Promise<string> {
    const error: unknown = await act.then(
      () => new Error('nothing was refused'),
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(InputError)
    return (error as Error).message
      .replaceAll(hub.endpoint, 'HUB')
      .replaceAll(at.settings.cacheFolder, 'CACHE')
      .replace(/ in \d+\.\d s\)$/, ' in T s)')
  }

  const folder = (): string => join(at.settings.cacheFolder, 'models--tests--sharded')
  const incomplete = (): string => join(folder(), 'blobs', `${sha256(bytes)}.incomplete`)
  return { hub, at, fetchIt, refusal, folder, incomplete }
}
