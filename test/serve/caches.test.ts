import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import type { ServeOptions } from '../../src/serve/options.js'
import { type RunningServer, serve } from '../../src/serve/server.js'
import { writeTinyChat } from '../inference/tiny-chat.js'
import { scratchFolder } from '../scratch.js'
import { profile } from './start.js'

let model: Model
/** 30% of the pairs of `profile`, and how many bytes they are. */
let file: string
let bytes: number

beforeAll(async () => {
  model = await loadModel('nano')
  const kv = await model.prefill(profile, { level: 'pair', ratio: 0.3 })
  bytes = kv.bytes
  file = join(scratchFolder(), 'profile.kv')
  await kv.save(file)
  kv.close()
})
afterAll(() => model.close())

interface Asked {
  text: string
  cached: number
  bytes: number
}

/** @returns one answer a question */
async function ask({ url }: RunningServer, context: string, ...questions: string[]): Promise<Asked[]> {
  const asked = []
  for (const content of questions) {
    const body = JSON.stringify({ model: 'nano', context, messages: [{ role: 'user', content }] })
    const headers = { 'content-type': 'application/json' }
    const reply = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
    const { choices, usage } = (await reply.json()) as {
      choices: { message: { content: string } }[]
      usage: { prompt_tokens_details: { cached_tokens: number }; kv_bytes: number }
    }
    const { cached_tokens: cached } = usage.prompt_tokens_details
    asked.push({ text: choices[0]!.message.content, cached, bytes: usage.kv_bytes })
  }
  return asked
}

async function running(
  options: ServeOptions,
  use: (server: RunningServer) => Promise<void>,
): Promise<string[]> {
  const notes: string[] = []
  const server = await serve(model, { port: 0, onNote: (note) => notes.push(note), ...options })
  try {
    await use(server)
  } finally {
    await server.close()
  }
  return notes
}

const of = (name: string): string => profile.replace('Kim', name)
/** Room for one context of nano's and no other. */
const one = 1.5 * 2 ** 20
const nameAndMajor = ['What is my name?', 'What is my major?']

describe('a server that is given a saved cache', () => {
  it('answers from it at the first request, and from nothing else', async () => {
    await running({ caches: [file] }, async (server) => {
      expect(server.contexts).toBe(1)
      const health = (await (await fetch(`${server.url}/health`)).json()) as { context_bytes: number }
      expect(health.context_bytes).toBeGreaterThanOrEqual(bytes)
      expect(await ask(server, profile, ...nameAndMajor)).toEqual([
        { text: 'Kim', cached: 65, bytes },
        { text: 'computer science', cached: 65, bytes },
      ])
      // Another context, were it by one letter, is read.
      expect(await ask(server, of('Kin'), 'What is my major?')).toMatchObject([{ cached: 0 }])
    })
  })

  it('reads the file again when others have pushed it out of memory', async () => {
    const notes = await running({ caches: [file], cacheBytes: one }, async (server) => {
      await ask(server, of('Anna'), 'What is my name?')
      const health = (await (await fetch(`${server.url}/health`)).json()) as { contexts: number }
      expect(health.contexts).toBe(1)
      expect(await ask(server, profile, 'What is my name?')).toEqual([{ text: 'Kim', cached: 65, bytes }])
    })
    expect(notes).toEqual([])
  })

  it('answers on, and says so, when the file is spoilt by then', async () => {
    const path = join(scratchFolder(), 'spoilt.kv')
    writeFileSync(path, readFileSync(file))
    const notes = await running({ caches: [path], cacheBytes: one }, async (server) => {
      writeFileSync(path, 'spoilt beyond repair')
      await ask(server, of('Anna'), 'What is my name?')
      expect(await ask(server, profile, ...nameAndMajor)).toMatchObject([
        { text: 'Kim', cached: 0 },
        { text: 'computer science', cached: 65 },
      ])
    })
    expect(notes).toEqual([`${path} is not a cache that headzip saved; the context is read anew`])
  })
})

describe('a server does not start with', () => {
  const refused = (options: ServeOptions) => expect(serve(model, { port: 0, ...options })).rejects

  it.each<[string, (content: Buffer) => Buffer, RegExp]>([
    ['garbage', () => Buffer.from('garbage, and a lot of it'), /bad\.kv is not a cache that headzip saved$/],
    [
      'a truncated cache',
      (all) => all.subarray(0, -40),
      /bad\.kv is a truncated cache: it has \d+ of \d+ bytes$/,
    ],
    [
      'a cache of another version',
      (all) => Buffer.concat([all.subarray(0, 8), Buffer.from([1]), all.subarray(9)]),
      /bad\.kv is a cache of version 1; this headzip reads version 2$/,
    ],
  ])('%s', async (_, change, sentence) => {
    const bad = join(scratchFolder(), 'bad.kv')
    writeFileSync(bad, change(readFileSync(file)))
    await refused({ caches: [file, bad] }).toThrow(sentence)
  })

  it('the cache of another model, of a conversation, or of one context twice', async () => {
    const tiny = await loadModel(writeTinyChat())
    await expect(serve(tiny, { port: 0, caches: [file] })).rejects.toThrow(
      /profile\.kv holds a cache of nano, not of the \S+ that is loaded$/,
    )
    tiny.close()
    const folder = scratchFolder()
    const [talk, twin] = [join(folder, 'talk.kv'), join(folder, 'twin.kv')]
    const kv = await model.prefill(profile)
    await kv.save(twin)
    await model.generate('What is my name?', { kv, updateCache: true })
    await kv.save(talk)
    kv.close()
    await refused({ caches: [talk] }).toThrow(
      /talk\.kv holds a conversation: \d+ tokens were said after its context$/,
    )
    await refused({ caches: [file, twin] }).toThrow(`${twin} and ${file} hold the same context`)
  })

  it('a full cache where it is told to evict', async () => {
    const full = join(scratchFolder(), 'full.kv')
    const kv = await model.prefill(profile)
    await kv.save(full)
    kv.close()
    await refused({ caches: [full], eviction: { level: 'pair', ratio: 0.5 } }).toThrow(
      /full\.kv holds a full cache, but this server evicts: save it with eviction, too$/,
    )
  })

  it('more caches than it may keep, or a folder that is none', async () => {
    await refused({ caches: [file], cacheBytes: 1000 }).toThrow(
      /profile\.kv does not fit: the caches given hold \d+ bytes, more than the 1000 that are kept$/,
    )
    await refused({ cacheDir: file }).toThrow(/profile\.kv cannot be used for caches: EEXIST/)
  })
})

describe('a folder for caches', () => {
  it('keeps what leaves memory, and what is there when the server ends, for the next one', async () => {
    const cacheDir = join(scratchFolder(), 'new', 'caches')
    const eviction = { level: 'pair', ratio: 0.5 } as const
    const first: Asked[] = []
    await running({ cacheDir, eviction, cacheBytes: one }, async (server) => {
      for (const name of ['Kim', 'Anna', 'Peter'])
        first.push(...(await ask(server, of(name), ...nameAndMajor)))
      // Memory has room for one; it is found again without being read.
      expect(await ask(server, profile, 'What is my name?')).toMatchObject([{ text: 'Kim', cached: 65 }])
      // Nothing is kept of a question without a context.
      await ask(server, '', 'My name is Kim. What is my name?')
    })
    const files = readdirSync(cacheDir)
    expect(files).toHaveLength(3)
    for (const name of files) expect(name).toMatch(/^[0-9a-f]{64}\.kv$/)
    if (process.platform !== 'win32') expect(statSync(cacheDir).mode & 0o77).toBe(0)
    const notes = await running({ cacheDir, eviction }, async (server) => {
      expect(server.contexts).toBe(0)
      const again: Asked[] = []
      for (const name of ['Kim', 'Anna', 'Peter'])
        again.push(...(await ask(server, of(name), ...nameAndMajor)))
      expect(again.map(({ text, bytes }) => ({ text, bytes }))).toEqual(
        first.map(({ text, bytes }) => ({ text, bytes })),
      )
      for (const { cached } of again) expect(cached).toBeGreaterThan(60)
    })
    expect(notes).toEqual([])
    expect(readdirSync(cacheDir)).toEqual(files)
    // Who evicts otherwise computes otherwise.
    await running({ cacheDir, eviction: { ...eviction, ratio: 0.4 } }, async (server) => {
      expect(await ask(server, profile, 'What is my name?')).toMatchObject([{ cached: 0 }])
    })
    expect(readdirSync(cacheDir)).toHaveLength(4)
  })

  it('is found by scores that keep the same heads', async () => {
    const cacheDir = scratchFolder()
    const scores = 'head_scores/nano/merged.arrow'
    const served = async (ratio: number): Promise<number> => {
      let cached = -1
      await running({ cacheDir, eviction: { scores, ratio } }, async (server) => {
        cached = (await ask(server, profile, 'What is my name?'))[0]!.cached
      })
      return cached
    }
    // 24 heads: 14 are kept by both ratios, 12 by the last.
    expect([await served(0.6), await served(0.59), await served(0.5)]).toEqual([0, 65, 0])
  })

  it('with damaged files costs time, not answers, and is mended', async () => {
    const cacheDir = scratchFolder()
    const name = 'What is my name?'
    await running({ cacheDir }, async (server) => void (await ask(server, profile, name)))
    const path = join(cacheDir, readdirSync(cacheDir)[0]!)
    const good = readFileSync(path)
    writeFileSync(path, good.subarray(0, 5000))
    const notes = await running({ cacheDir }, async (server) => {
      expect(await ask(server, profile, name)).toMatchObject([{ text: 'Kim', cached: 0 }])
    })
    expect(notes).toEqual([
      `${path} is a truncated cache: it has 5000 of ${good.length} bytes; the context is read anew`,
    ])
    expect(readFileSync(path).equals(good)).toBe(true)
  })

  it('stays below its bytes: those go that nobody has asked for longest, and no file of others', async () => {
    const cacheDir = scratchFolder()
    writeFileSync(join(cacheDir, 'notes.txt'), 'x'.repeat(2 ** 20))
    await running({ cacheDir }, async (server) => {
      for (const name of ['Kim', 'Anna']) await ask(server, of(name), 'What is my name?')
    })
    const kv = readdirSync(cacheDir).filter((name) => name.endsWith('.kv'))
    const size = statSync(join(cacheDir, kv[0]!)).size
    for (const name of kv) utimesSync(join(cacheDir, name), 1e9, 1e9)
    // Two fit, and Kim has been asked for.
    await running({ cacheDir, cacheDirBytes: Math.floor(2.5 * size) }, async (server) => {
      for (const name of ['Kim', 'Peter']) await ask(server, of(name), 'What is my name?')
    })
    await running({ cacheDir }, async (server) => {
      const asked = []
      for (const name of ['Kim', 'Peter', 'Anna'])
        asked.push(...(await ask(server, of(name), 'What is my name?')))
      expect(asked.map(({ cached }) => cached > 0)).toEqual([true, true, false])
    })
    expect(existsSync(join(cacheDir, 'notes.txt'))).toBe(true)
  })

  it('gives many clients their own answers while contexts come and go', async () => {
    const names = ['Kim', 'Anna', 'Peter', 'Laura', 'David']
    const notes = await running({ cacheDir: scratchFolder(), cacheBytes: 2_300_000 }, async (server) => {
      const jobs = Array.from({ length: 30 }, async (_, i) => {
        const name = names[(i * 3) % 5]!
        expect((await ask(server, of(name), 'What is my name?'))[0]!.text).toBe(name)
      })
      await Promise.all(jobs)
    })
    expect(notes).toEqual([])
  })
})
