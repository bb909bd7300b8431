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
import { describe, expect, it } from 'vitest'
import type { DownloadProgress } from '../../src/hub/transfers.js'
import { bytes, fetching, isShard } from './fetching.js'
import { model, modelFiles, neededFiles, settingsFor, shard } from './repos.js'
import { commitOf, gitSha1, sha256 } from './server.js'

const { hub, at, fetchIt, refusal, folder, incomplete } = fetching()
const main = commitOf(modelFiles)

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
    at.settings = settingsFor(hub, { token: 'hf_right' })
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
    at.settings = { ...at.settings, offline: true }
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
    at.settings = settingsFor(hub, { timeoutSeconds: 0.2 })
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
