import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { writeTinyChat } from '../inference/tiny-chat.js'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const cwd = scratchFolder()
const scores = join(packageRoot, 'head_scores/nano/merged.arrow')
const kim = 'This is my basic profile. My name is Kim living in Seoul. My major is computer science.'
const ask = (args: string[], input = '') => headzip(['ask', ...args], { cwd, input })
const question = ['--query', 'What is my major?']

interface Asked {
  caches: object[]
  answers: { answers: { text: string }[] }[]
  saved?: string
}

/** The command read the context and answered; its file was saved on the way. */
let first: Asked

beforeAll(async () => {
  writeFileSync(join(cwd, 'kim.txt'), kim)
  const how = ['--level', 'streaming', '--scores', scores, '--ratio', '0.6', '--sink', '9', '--recent', '8']
  const read = ['nano', '--context', 'kim.txt', ...how, '--save-cache', 'out/kim.kv']
  const { out, err, code } = await ask([...read, ...question, '--json'])
  expect([err, code]).toEqual(['', 0])
  first = JSON.parse(out) as Asked
  // Whatever answers from now on has no context to read.
  rmSync(join(cwd, 'kim.txt'))
})

describe('headzip ask --cache', () => {
  it('answers as the command did that saved it, and tells the same budget', async () => {
    expect(first.saved).toBe('out/kim.kv')
    expect(first.answers[0]!.answers[0]!.text).toBe('computer science')
    expect(readdirSync(join(cwd, 'out'))).toEqual(['kim.kv'])
    const { out, err, code } = await ask(['nano', '--cache', 'out/kim.kv', ...question, '--json'])
    expect([err, code]).toEqual(['', 0])
    const again = JSON.parse(out) as Asked
    const withoutPeak = (each: object): object => ({ ...each, peakBytes: 0 })
    expect(again.caches.map(withoutPeak)).toEqual(first.caches.map(withoutPeak))
    expect(again.caches).toMatchObject([{ name: 'streaming 0.6', budget: { sink: 38, recent: 8 } }])
    expect(again.answers[0]!.answers[0]!.text).toBe('computer science')
  })

  it('chats, and the file stays as it is', async () => {
    const before = readFileSync(join(cwd, 'out/kim.kv'))
    const input = 'What is my name?\nWhat is my major?\n/quit\n'
    const { out, err, code } = await ask(['nano', '--cache', 'out/kim.kv', '--interactive'], input)
    expect([err, code]).toEqual(['', 0])
    expect(out.split('\n').filter((line) => /^(> )*(Kim|computer science)$/.test(line))).toHaveLength(2)
    expect(readFileSync(join(cwd, 'out/kim.kv')).equals(before)).toBe(true)
  })

  it.each<[string, (bytes: Buffer) => Buffer, string]>([
    ['garbage', () => Buffer.from('a'.repeat(400)), 'is not a cache that headzip saved'],
    ['an empty file', () => Buffer.alloc(0), 'is not a cache that headzip saved'],
    [
      'a truncated file',
      (bytes) => bytes.subarray(0, bytes.length - 9),
      'is a truncated cache: it has SIZE of FULL bytes',
    ],
    [
      'a file of another version',
      (bytes) => {
        bytes.writeUInt32LE(9, 8)
        return bytes
      },
      'is a cache of version 9; this headzip reads version 2',
    ],
    [
      'a file with a bit turned',
      (bytes) => {
        bytes[bytes.length - 4000]! ^= 4
        return bytes
      },
      'is a damaged cache: its content does not match its header or checksum',
    ],
  ])('refuses %s with one sentence', async (_, change, sentence) => {
    const full = readFileSync(join(cwd, 'out/kim.kv'))
    const bad = change(Buffer.from(full))
    writeFileSync(join(cwd, 'bad.kv'), bad)
    const { out, err, code } = await ask(['nano', '--cache', 'bad.kv', ...question])
    const expected = sentence.replace('SIZE', String(bad.length)).replace('FULL', String(full.length))
    expect([out, err, code]).toEqual(['', `bad.kv ${expected}\n`, 2])
  })

  it('refuses the cache of another model, and a file that is not there', async () => {
    const tiny = writeTinyChat()
    const other = await ask([tiny, '--cache', 'out/kim.kv', ...question])
    expect([other.out, other.code]).toEqual(['', 2])
    expect(other.err).toMatch(/^out\/kim\.kv holds a cache of nano, not of the \S+ that is loaded\n$/)
    const none = await ask(['nano', '--cache', 'none.kv', ...question])
    expect([none.out, none.code]).toEqual(['', 2])
    expect(none.err).toMatch(/^none\.kv cannot be read: ENOENT.*\n$/)
  })

  it.each<[string, string[], string]>([
    [
      'neither context nor cache',
      ['--full', ...question],
      '--context must name a file to read; or --cache one that --save-cache wrote',
    ],
    [
      'both',
      ['--context', 'kim.txt', '--cache', 'out/kim.kv', ...question],
      '--cache holds a context that has been read already: give it without --context',
    ],
    [
      'a cache that is to be evicted further',
      ['--cache', 'out/kim.kv', '--ratio', '0.3', ...question],
      '--cache answers from what was kept when it was saved: give it without options of eviction, --full and --compare',
    ],
    [
      'a cache that is to be evicted by the default level',
      ['--cache', 'out/kim.kv', '--level', 'head', ...question],
      '--cache answers from what was kept when it was saved: give it without options of eviction, --full and --compare',
    ],
    [
      'a cache that is to be saved again',
      ['--cache', 'out/kim.kv', '--save-cache', 'b.kv'],
      '--cache and --save-cache exclude one another: a cache is saved when it is read',
    ],
    [
      'a cache and no question',
      ['--cache', 'out/kim.kv'],
      '--query must ask something; or give --interactive to chat',
    ],
  ])('refuses %s', async (_, args, sentence) => {
    const { out, err, code } = await ask(['nano', ...args])
    expect([out, err, code]).toEqual(['', `${sentence}\n`, 2])
  })
})

describe('headzip ask --save-cache', () => {
  const hello = (args: string[]) => ask(['nano', '--context', '-', '--full', ...args], kim)

  it('needs no question, and replaces a file only when told to', async () => {
    const { out, code } = await hello(['--save-cache', 'full.kv'])
    expect(code).toBe(0)
    expect(out).toMatch(/^cache +kept of the context +KV before +KV after\n-.*\nfull .*all.*\n\nfull\.kv\n$/)
    writeFileSync(join(cwd, 'mine.kv'), 'mine')
    const refused = await hello(['--save-cache', 'mine.kv'])
    expect([refused.out, refused.err, refused.code]).toEqual([
      '',
      'mine.kv exists; pass --force to replace it\n',
      2,
    ])
    expect(readFileSync(join(cwd, 'mine.kv'), 'utf8')).toBe('mine')
    expect((await hello(['--save-cache', 'mine.kv', '--force'])).code).toBe(0)
    expect(readFileSync(join(cwd, 'mine.kv')).equals(readFileSync(join(cwd, 'full.kv')))).toBe(true)
    expect(readdirSync(cwd).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it.each<[string, string[], RegExp]>([
    [
      'two caches',
      ['--level', 'pair', '--compare', '--save-cache', 'new.kv'],
      /^--save-cache saves one cache: give it without --compare$/,
    ],
    [
      'a folder that cannot be',
      ['--full', '--save-cache', 'out/kim.kv/a.kv'],
      /^out\/kim\.kv\/a\.kv cannot be written: /,
    ],
    ['a folder', ['--full', '--save-cache', 'out'], /^out is a folder; name a file in it$/],
  ])('refuses %s before anything is read', async (_, args, sentence) => {
    const { out, err, code } = await ask(['nano', '--context', 'none.txt', ...args])
    expect(err.trimEnd()).toMatch(sentence)
    expect([out, code]).toEqual(['', 2])
    expect(existsSync(join(cwd, 'new.kv'))).toBe(false)
  })

  it('refuses --force without a file to replace', async () => {
    const { err, code } = await hello(['--force', ...question])
    expect([err, code]).toEqual(['--force replaces the file that --save-cache names: give both\n', 2])
  })
})
