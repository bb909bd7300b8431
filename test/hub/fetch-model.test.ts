import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { InputError } from '../../src/errors.js'
import { fetchModel, type HubOptions } from '../../src/hub/fetch-model.js'
import { parseModelName } from '../../src/hub/repo.js'
import type { HubSettings } from '../../src/hub/settings.js'
import type { DownloadProgress } from '../../src/hub/transfers.js'
import { everything, model, modelFiles, neededFiles, settingsFor, shard } from './repos.js'
import { commitOf, FakeHub, gitSha1, refuse, sha256 } from './server.js'

const hub = new FakeHub(everything)
const main = commitOf(modelFiles)
const bytes = modelFiles[shard]!
let settings: HubSettings

beforeAll(() => hub.start())
afterAll(() => hub.stop())
beforeEach(() => {
  hub.asked.length = 0
  hub.interfere = () => false
  hub.chunk = 64 * 1024
  settings = settingsFor(hub)
})

function fetchIt(name = 'tests/sharded', options: HubOptions = {}): Promise<string> {
  return fetchModel(parseModelName(name)!, { settings, ...options })
}

async function refusal(act: Promise<unknown>): Promise<string> {
  const error: unknown = await act.then(
    () => new Error('nothing was refused'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(InputError)
  return (error as Error).message.replaceAll(hub.endpoint, 'HUB').replaceAll(settings.cacheFolder, 'CACHE')
}

const folder = (): string => join(settings.cacheFolder, 'models--tests--sharded')
const incomplete = (): string => join(folder(), 'blobs', `${sha256(bytes)}.incomplete`)
const isShard = (url: string): boolean => url.endsWith(sha256(bytes))

/** Cuts the connection in the middle of the shard, the first `times` times. @returns where it was cut */
function cutShard(times: number, at: number): void {
  let cuts = 0
  hub.interfere = ({ url }, response, request) => {
    if (!isShard(url) || cuts >= times) return false
    cuts++
    hub.send(bytes, request, response, at)
    return true
  }
}

describe('fetching a model', () => {
  it('brings what headzip needs, and nothing else, into the layout that Python shares', async () => {
    const progress: DownloadProgress[] = []
    const snapshot = await fetchIt('tests/sharded', { onProgress: (now) => progress.push(now) })
    expect(snapshot).toBe(join(folder(), 'snapshots', main))
    expect(readdirSync(snapshot).sort()).toEqual(neededFiles)
    for (const name of neededFiles)
      expect(sha256(readFileSync(join(snapshot, name)))).toBe(sha256(modelFiles[name]!))
    expect(readlinkSync(join(snapshot, shard))).toBe(`../../blobs/${sha256(bytes)}`)
    expect(readlinkSync(join(snapshot, 'config.json'))).toBe(
      `../../blobs/${gitSha1(modelFiles['config.json']!)}`,
    )
    expect(readFileSync(join(folder(), 'refs/main'), 'utf8')).toBe(main)
    expect(readdirSync(join(folder(), 'blobs')).filter((name) => !/^[0-9a-f]+$/.test(name))).toEqual([])
    const total = neededFiles.reduce((sum, name) => sum + modelFiles[name]!.length, 0)
    expect(progress.at(-1)).toMatchObject({ done: 1, bytes: total, total })
    // The small files come before the size of all is known.
    const small = neededFiles.filter((name) => !name.startsWith('model-'))
    const early = small.reduce((sum, name) => sum + modelFiles[name]!.length, 0)
    expect(progress.at(-1)?.fetched).toBe(total - early)
    expect(progress.every(({ bytes: now }, i) => now >= (progress[i - 1]?.bytes ?? 0))).toBe(true)
  })

  it('asks for no file that is there', async () => {
    await fetchIt()
    hub.asked.length = 0
    await fetchIt()
    expect(hub.downloads).toEqual([])
    expect(hub.asked).not.toEqual([])
  })

  it('asks the hub nothing at all for a commit that is there', async () => {
    const snapshot = await fetchIt()
    hub.asked.length = 0
    expect(await fetchIt(`tests/sharded@${main}`)).toBe(snapshot)
    expect(hub.asked).toEqual([])
  })

  it('keeps revisions apart and shares their blobs', async () => {
    await fetchIt()
    hub.asked.length = 0
    const pinned = await fetchIt('tests/sharded@refs/pr/1')
    const changed = model.branches['refs/pr/1']!
    expect(pinned).toBe(join(folder(), 'snapshots', commitOf(changed)))
    expect(readFileSync(join(pinned, 'tokenizer_config.json'), 'utf8')).toBe('{"changed": true}')
    expect(readFileSync(join(folder(), 'refs/refs/pr/1'), 'utf8')).toBe(commitOf(changed))
    expect(hub.downloads.map(({ url }) => url)).toEqual([
      `/tests/sharded/resolve/${commitOf(changed)}/tokenizer_config.json`,
    ])
  })

  it('shows its token to the hub and to no other host', async () => {
    settings = settingsFor(hub, { token: 'hf_right' })
    await fetchIt('tests/secret')
    expect(hub.asked.filter(({ host }) => host === 'hub').map(({ authorization }) => authorization)).toEqual(
      hub.asked.filter(({ host }) => host === 'hub').map(() => 'Bearer hf_right'),
    )
    const elsewhere = hub.asked.filter(({ host }) => host === 'files')
    expect(elsewhere).toHaveLength(3)
    expect(elsewhere.every(({ authorization }) => authorization === undefined)).toBe(true)
  })

  it('takes the one .gguf file that is named, or a part of whose name is', async () => {
    const path = await fetchIt('tests/quantised-GGUF:q4_k_m')
    expect(readFileSync(path, 'utf8')).toBe('GGUF four bits')
    expect(path).toMatch(/models--tests--quantised-GGUF\/snapshots\/[0-9a-f]{40}\/tiny-Q4_K_M\.gguf$/)
    expect(readFileSync(await fetchIt('tests/quantised-GGUF:bf16/tiny-BF16.gguf'), 'utf8')).toBe(
      'GGUF sixteen bits',
    )
    expect(hub.asked.filter(({ host }) => host === 'files')).toHaveLength(2)
  })

  it('takes all parts of a split model', async () => {
    const path = await fetchIt('tests/split-GGUF:Q8_0')
    expect(path).toMatch(/\/Q8_0\/big-00001-of-00002\.gguf$/)
    const other = path.replace('00001-of', '00002-of')
    expect(readFileSync(other, 'utf8')).toBe('GGUF the other half')
    settings = { ...settings, offline: true }
    expect(await fetchIt('tests/split-GGUF:Q8_0')).toBe(path)
    rmSync(other)
    expect(await refusal(fetchIt('tests/split-GGUF:Q8_0'))).toContain(
      'is incomplete (without Q8_0/big-00002-of-00002.gguf) in the cache',
    )
  })

  it.each([
    [
      'tests/split-GGUF:lost',
      'lost-00001-of-00002.gguf, but not lost-00002-of-00002.gguf, another part of that model',
    ],
    ['tests/quantised-GGUF', 'several .gguf files; name one after a colon: tiny-Q4_K_M.gguf, tiny-Q8_0.gguf'],
    [
      'tests/quantised-GGUF:Q2',
      'no .gguf file Q2; it holds tiny-Q4_K_M.gguf, tiny-Q8_0.gguf, bf16/tiny-BF16.gguf',
    ],
    ['tests/sharded:Q4', 'no .gguf file'],
    ['tests/pickled', 'no safetensors weights but pytorch_model.bin, a pickle, which headzip never executes'],
  ])('says what %s holds', async (name, sentence) => {
    expect(await refusal(fetchIt(name))).toBe(`${name.split(':')[0]} holds ${sentence}`)
  })
})

it('refuses an architecture it does not know before the weights come', async () => {
  expect(await refusal(fetchIt('tests/unknown'))).toContain(
    'the architecture GPT2LMHeadModel is not supported',
  )
  expect(hub.asked.filter(({ host }) => host === 'files')).toEqual([])
})

describe('a download that breaks off', () => {
  it('goes on in the middle of a shard where the connection was cut', async () => {
    cutShard(1, 100_000)
    const snapshot = await fetchIt()
    expect(sha256(readFileSync(join(snapshot, shard)))).toBe(sha256(bytes))
    const ranges = hub.asked.filter(({ url }) => isShard(url)).map(({ range }) => range)
    expect(ranges[0]).toBeUndefined()
    expect(ranges[1]).toMatch(/^bytes=\d+-$/)
    // What had come was not asked for again.
    expect(Number(/\d+/.exec(ranges[1]!)?.[0])).toBeGreaterThan(0)
    expect(ranges).toHaveLength(2)
  })

  it('gives up with one sentence when nothing more comes, and the next run goes on from there', async () => {
    hub.interfere = ({ url, range }, response, request) => {
      if (!isShard(url)) return false
      if (range) response.destroy()
      else hub.send(bytes, request, response, 65_536)
      return true
    }
    const sentence = await refusal(fetchIt())
    expect(sentence).toMatch(
      /^the download of model-00002-of-00003.safetensors of tests\/sharded broke off after \d+ of \d+ bytes/,
    )
    expect(existsSync(incomplete())).toBe(true)
    const there = readFileSync(incomplete())
    expect(there.length).toBeGreaterThan(0)
    expect(there.equals(bytes.subarray(0, there.length))).toBe(true)
    hub.interfere = () => false
    hub.asked.length = 0
    const snapshot = await fetchIt()
    expect(hub.asked.filter(({ url }) => isShard(url)).map(({ range }) => range)).toEqual([
      `bytes=${there.length}-`,
    ])
    expect(sha256(readFileSync(join(snapshot, shard)))).toBe(sha256(bytes))
    expect(existsSync(incomplete())).toBe(false)
  })

  it('starts again where the server knows no ranges', async () => {
    mkdirSync(dirname(incomplete()), { recursive: true })
    writeFileSync(incomplete(), bytes.subarray(0, 1000))
    hub.interfere = ({ url }, response) => {
      if (!isShard(url)) return false
      response.end(bytes)
      return true
    }
    expect(sha256(readFileSync(join(await fetchIt(), shard)))).toBe(sha256(bytes))
  })

  it('starts again when what was there before makes the checksum wrong', async () => {
    mkdirSync(dirname(incomplete()), { recursive: true })
    writeFileSync(incomplete(), Buffer.alloc(1000, 7))
    expect(sha256(readFileSync(join(await fetchIt(), shard)))).toBe(sha256(bytes))
    expect(hub.asked.filter(({ url }) => isShard(url)).map(({ range }) => range)).toEqual([
      'bytes=1000-',
      undefined,
    ])
  })

  it('stops within its timeout when the server falls silent', async () => {
    settings = settingsFor(hub, { timeoutSeconds: 0.2 })
    hub.interfere = ({ url, range }, response) => {
      if (!isShard(url)) return false
      response.writeHead(range ? 206 : 200, { 'content-length': bytes.length })
      if (!range) response.write(bytes.subarray(0, 1000))
      return true
    }
    expect(await refusal(fetchIt())).toMatch(/broke off after \d+ of \d+ bytes \(nothing came for 0.2 s\)/)
  })

  it('keeps what came when it is aborted', async () => {
    hub.chunk = 4096
    const control = new AbortController()
    const failed = fetchIt('tests/sharded', {
      signal: control.signal,
      onProgress: ({ bytes: now }) => now > 20_000 && control.abort(),
    })
    await expect(failed).rejects.toMatchObject({ code: 'HEADZIP_ABORTED' })
    expect(existsSync(join(folder(), 'refs/main'))).toBe(false)
    expect(sha256(readFileSync(join(await fetchIt(), shard)))).toBe(sha256(bytes))
  })
})

describe('content with a wrong checksum', () => {
  it.each([
    ['another byte in a shard', shard, (content: Buffer) => Buffer.from(content).fill(1, 5000, 5001)],
    [
      'another byte in a small file',
      'config.json',
      (content: Buffer) => Buffer.from(content).fill('x', 3, 4),
    ],
  ])('is not kept: %s', async (_, path, change) => {
    const content = modelFiles[path]!
    hub.interfere = ({ url }, response) => {
      if (!url.endsWith(sha256(content)) && !url.endsWith(`/${path}`)) return false
      if (path === shard && !isShard(url)) return false
      response.end(change(content))
      return true
    }
    const digest = path === shard ? sha256(content) : gitSha1(content)
    expect(await refusal(fetchIt())).toBe(
      `${path} of tests/sharded came with a wrong checksum, not ${digest}; nothing of it was kept`,
    )
    expect(readdirSync(join(folder(), 'blobs')).filter((name) => name.startsWith(digest))).toEqual([])
    expect(existsSync(join(folder(), 'refs/main'))).toBe(false)
  })

  it('is refused when more comes than is listed', async () => {
    hub.interfere = ({ url }, response) => {
      if (!isShard(url)) return false
      response.end(Buffer.concat([bytes, Buffer.alloc(10)]))
      return true
    }
    expect(await refusal(fetchIt())).toContain(`(more came than the ${bytes.length} bytes that are listed)`)
  })
})

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
    settings = settingsFor(hub, { token })
    expect(await refusal(fetchIt(name))).toBe(sentence)
    expect(existsSync(settings.cacheFolder)).toBe(false)
  })

  it('is understood for a token it does not know', async () => {
    settings = settingsFor(hub, { token: 'hf_expired' })
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
    settings = { ...settings, offline: true }
    expect(await fetchIt()).toBe(snapshot)
    expect(hub.asked).toEqual([])
  })

  it('says that a model is not in the cache, or what it lacks', async () => {
    settings = { ...settings, offline: true }
    expect(await refusal(fetchIt())).toBe(
      'tests/sharded is not in the cache CACHE/models--tests--sharded, and HF_HUB_OFFLINE is set',
    )
    settings = { ...settings, offline: false }
    rmSync(join(await fetchIt(), shard))
    settings = { ...settings, offline: true }
    expect(await refusal(fetchIt())).toBe(
      `tests/sharded is incomplete (without ${shard}) in the cache CACHE/models--tests--sharded, and HF_HUB_OFFLINE is set`,
    )
  })

  it('serves a chosen .gguf file from the cache, and misses another', async () => {
    const path = await fetchIt('tests/quantised-GGUF:Q8_0')
    settings = { ...settings, offline: true }
    expect(await fetchIt('tests/quantised-GGUF')).toBe(path)
    expect(await refusal(fetchIt('tests/quantised-GGUF:Q4'))).toContain(
      'is incomplete (without Q4) in the cache',
    )
  })

  it('takes the cached copy when no connection can be had, and says so without one', async () => {
    const snapshot = await fetchIt()
    const closed = await new FakeHub([]).start()
    await closed.stop()
    settings = { ...settings, endpoint: closed.endpoint }
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
