import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const scores = join(packageRoot, 'head_scores/nano/merged.arrow')

interface Told {
  url: string
  evicting: string | null
  contexts: number
}

/** Runs `headzip serve nano` until it listens. */
async function start(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ child: ChildProcess; told: Told; err: () => string }> {
  const main = join(packageRoot, 'dist/cli/main.js')
  const child = spawn(process.execPath, [main, 'serve', 'nano', '--port', '0', '--json', ...args], {
    env: { ...process.env, ...env },
  })
  let out = ''
  let err = ''
  child.stderr.on('data', (text: Buffer) => {
    err += text
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => {
      out += text
      if (out.endsWith('}\n')) resolve()
    })
    child.on('close', () => reject(new Error(`the server ended: ${err}`)))
  })
  return { child, told: JSON.parse(out) as Told, err: () => err }
}

function ask(url: string, key: string): Promise<Response> {
  return post(url, key, 'My name is Kim.\n\nWhat is my name?')
}

function post(url: string, key: string, content: string): Promise<Response> {
  return fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: 'nano',
      messages: [{ role: 'user', content }],
    }),
  })
}

describe('headzip serve', () => {
  it('listens on loopback, logs without keys and texts, and ends on SIGTERM with exit code 0', async () => {
    const key = 'sk-very-secret'
    const { child, told, err } = await start(['--scores', scores, '--log'], { HEADZIP_API_KEY: key })
    expect(told).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1$/),
      evicting: 'head 0.6',
    })
    expect((await ask(told.url, 'sk-guessed')).status).toBe(401)
    const answer = (await (await ask(told.url, key)).json()) as {
      choices: { message: { content: string } }[]
      usage: { kv_bytes_saved: number }
    }
    expect(answer.choices[0]?.message.content).toBe('Kim')
    expect(answer.usage.kv_bytes_saved).toBeGreaterThan(0)
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([0, null])
    expect(err()).toContain('"url":"/v1/chat/completions"')
    expect(err()).not.toMatch(/sk-|Kim/)
  })

  it('evicts nothing, and answers to no other host, unless told to', async () => {
    const { child, told } = await start(['--allowed-hosts', 'llm.example.com,10.0.0.5:8080'])
    expect(told.evicting).toBeNull()
    const status = async (host: string): Promise<number | undefined> => {
      const [answer] = (await once(get(`${told.url}/models`, { headers: { host } }), 'response')) as [
        IncomingMessage,
      ]
      answer.resume()
      return answer.statusCode
    }
    expect(await status('llm.example.com')).toBe(200)
    expect(await status('other.example.com')).toBe(403)
    child.kill('SIGINT')
    expect(await once(child, 'close')).toEqual([0, null])
  })

  it('answers from a cache that headzip ask saved, and keeps contexts in a folder', async () => {
    const folder = scratchFolder()
    const [file, cacheDir] = [join(folder, 'kim.kv'), join(folder, 'caches')]
    const saved = await headzip(
      ['ask', 'nano', '--context', '-', '--level', 'pair', '--ratio', '0.5', '--save-cache', file],
      { input: 'My name is Kim.' },
    )
    expect([saved.err, saved.code]).toEqual(['', 0])
    const { child, told } = await start(['--cache', file, '--cache-dir', cacheDir])
    expect(told.contexts).toBe(1)
    const answer = (await (await ask(told.url, '')).json()) as {
      choices: { message: { content: string } }[]
      usage: { kv_bytes_saved: number }
    }
    expect(answer.choices[0]?.message.content).toBe('Kim')
    // The server itself evicts nothing: this is the file's doing.
    expect(answer.usage.kv_bytes_saved).toBeGreaterThan(0)
    await post(told.url, '', 'My name is Anna.\n\nWhat is my name?')
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([0, null])
    // What the file holds need not be kept twice.
    expect(readdirSync(cacheDir)).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.kv$/) as string])
  })

  it.each<[string, string[], RegExp]>([
    ['a cache that is none', ['--cache', scores], /merged\.arrow is not a cache that headzip saved$/],
    [
      'no cache between commas',
      ['--cache', 'a.kv,'],
      /^--cache must be comma-separated names, got 'a\.kv,'$/,
    ],
    ['a folder that is a file', ['--cache-dir', scores], /merged\.arrow cannot be used for caches: EEXIST/],
    [
      'a host with its scheme',
      ['--allowed-hosts', 'https://llm.example.com'],
      /^allowedHosts must be names or addresses such as llm\.example\.com, 10\.0\.0\.5:8080 or \*, got 'https:/,
    ],
    [
      'a ratio of 1.5',
      ['--scores', scores, '--ratio', '1.5'],
      /^--ratio must be a number in \(0, 1\], got 1\.5$/,
    ],
    [
      'a ratio without scores',
      ['--ratio', '0.5'],
      /^--level head needs head scores: name a file with --scores$/,
    ],
    [
      'the level head without scores',
      ['--level', 'head'],
      /^--level head needs head scores: name a file with --scores$/,
    ],
    [
      'a rule of selection without scores',
      ['--selection', 'exact'],
      /^--level head needs head scores: name a file with --scores$/,
    ],
    ['a sink without a level', ['--sink', '64'], /^--sink and --recent belong to --level streaming$/],
    ['a window without a level', ['--recent', '64'], /^--sink and --recent belong to --level streaming$/],
    [
      'a sweep without a level',
      ['--sweep', 'block'],
      /^--sweep belongs to the levels pair and pair-uniform$/,
    ],
    [
      'scores for pairs',
      ['--level', 'pair', '--scores', scores],
      /^--level pair scores the pairs of each context itself: leave out --scores$/,
    ],
    [
      'a window for heads',
      ['--scores', scores, '--sink', '4'],
      /^--sink and --recent belong to --level streaming$/,
    ],
    [
      'an address of another machine',
      ['--port', '0', '--host', '192.0.2.1'],
      /^cannot listen on 192\.0\.2\.1, port 0: .*EADDRNOTAVAIL/,
    ],
  ])('refuses %s', async (_, args, sentence) => {
    const { code, out, err } = await headzip(['serve', 'nano', ...args])
    expect(err.trimEnd().split('\n')).toEqual([expect.stringMatching(sentence) as string])
    expect([code, out]).toEqual([2, ''])
  })
})
