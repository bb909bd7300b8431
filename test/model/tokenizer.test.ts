import { getEventListeners } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { findModel } from '../../src/model/describe.js'
import { encodeSteps } from '../../src/model/tokenizer/encode.js'
import { folderFields } from '../../src/model/tokenizer/folder-fields.js'
import { Tokenizer } from '../../src/model/tokenizer.js'
import { packageRoot, runNode } from '../cli/headzip.js'
import { ended } from './steps.js'

const nano = findModel('nano')

/** Long pieces of few and of many letters, runs of blanks, broken characters, special tokens in between. */
function hardTexts(): string[] {
  const small = readFileSync(join(packageRoot, 'test/fixtures/tokenizers/small.json'), 'utf8')
  const { texts } = JSON.parse(small) as { texts: string[] }
  const folder = join(packageRoot, 'data/haystack')
  const book = readFileSync(
    join(folder, readdirSync(folder).filter((name) => name.endsWith('.txt'))[0]!),
    'utf8',
  )
  let state = 1
  const below = (most: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * most)
  }
  const random = ['ab', 'the an', ' \n', 'aeiou th', 'ĠĊ ab', '🙂a\ud800'].map((letters) =>
    Array.from({ length: 1500 + below(4000) }, () => letters[below(letters.length)]).join(''),
  )
  const tagged = `<|im_start|>${'ab'.repeat(3000)}<|im_end|>${' '.repeat(5000)}x`
  return [
    '',
    ...texts.slice(0, 20),
    texts.join(''),
    book.slice(0, 30_000),
    ' '.repeat(20_000),
    tagged,
    ...random,
  ]
}

describe('a text that is encoded in steps', () => {
  const { fields, config } = folderFields(nano.folder)
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
  it.each([
    ['split by several patterns', {}],
    ['split by one', { pre_tokenizer: { ...byteLevel, add_prefix_space: true, use_regex: true } }],
    ['never split', { pre_tokenizer: byteLevel }],
    ['taken as it is', { pre_tokenizer: null }],
    [
      'normalised',
      { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] } },
    ],
    [
      'begun with a token of its own',
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [
            { SpecialToken: { id: '<|endoftext|>', type_id: 0 } },
            { Sequence: { id: 'A', type_id: 0 } },
          ],
          pair: [],
        },
      },
    ],
    ['of which some is unknown', { pre_tokenizer: null, model: unknowing(fields) }],
  ])('and %s has the ids of the library', (_, change) => {
    const hub = new HubTokenizer({ ...fields, ...change }, config)
    for (const text of hardTexts())
      for (const special of [false, true]) {
        const expected = hub.encode(text, { add_special_tokens: special }).ids
        expect([...ended(encodeSteps(hub, text, special))]).toEqual(Array.from(Int32Array.from(expected)))
      }
  })
})

/** The model of the fields, with a token for what it does not know, fused where there are several in a row. */
function unknowing(fields: object): object {
  const { model } = fields as { model: object }
  return { ...model, unk_token: '<|endoftext|>', fuse_unk: true }
}

describe('a tokenizer in its process', () => {
  const tokenizer = new Tokenizer(nano)
  afterAll(() => tokenizer.close())
  const long = ' '.repeat(1_000_000)

  it('answers short calls while it is at a long one', async () => {
    await tokenizer.encode('ready')
    let over = false
    const ids = tokenizer.encode(long).finally(() => {
      over = true
    })
    let meanwhile = 0
    while (!over) {
      expect(await tokenizer.decode(await tokenizer.encode('short'))).toBe('short')
      meanwhile++
    }
    expect((await ids).length).toBe(long.length / 32)
    // Had they waited for it, there would have been one.
    expect(meanwhile).toBeGreaterThan(5)
  })

  it('drops a call whose signal falls, and goes on at once', async () => {
    const stop = new AbortController()
    const calls = Array.from({ length: 3 }, () => tokenizer.encode(long, { signal: stop.signal }))
    setTimeout(() => stop.abort(), 20)
    for (const each of await Promise.allSettled(calls))
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'HEADZIP_ABORTED' } })
    expect(await tokenizer.decode(await tokenizer.encode('after'))).toBe('after')
    await expect(tokenizer.encode('late', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
  })

  it('listens once to a signal that many calls share, and lets go of it', async () => {
    const { signal } = new AbortController()
    const calls = Array.from({ length: 30 }, (_, i) => tokenizer.encode(`text ${i}`, { signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await Promise.all(calls)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('starts again after it was closed', async () => {
    const ids = tokenizer.encode('one')
    tokenizer.close()
    expect(await tokenizer.decode(await ids)).toBe('one')
    expect(await tokenizer.decode(await tokenizer.encode('two'))).toBe('two')
  })

  it.each([
    ['a text', () => tokenizer.encode(5 as unknown as string), 'text must be a string, got 5'],
    [
      'ids',
      () => tokenizer.decode(null as unknown as number[]),
      'ids must be a list of numbers, none of them NaN, got null',
    ],
  ])('refuses what is no %s', async (_, act, sentence) => {
    await expect(act()).rejects.toThrow(sentence)
  })
})

describe('limits of a tokenizer', () => {
  afterEach(() => {
    delete process.env.HEADZIP_TOKENIZER_SECONDS
  })

  it('are positive numbers, wherever they are given', () => {
    expect(() => new Tokenizer(nano, { seconds: 0 })).toThrow(
      'tokenizer.seconds must be a positive number, got 0',
    )
    expect(() => new Tokenizer(nano, { memoryMiB: '1' as unknown as number })).toThrow(
      "tokenizer.memoryMiB must be a positive number, got '1'",
    )
    process.env.HEADZIP_TOKENIZER_SECONDS = 'long'
    expect(() => new Tokenizer(nano)).toThrow(
      "HEADZIP_TOKENIZER_SECONDS must be a positive number, got 'long'",
    )
  })
})

describe('a program that never closes its tokenizer', () => {
  const script = (then: string): string[] => [
    '--input-type=module',
    '-e',
    `import { readFileSync } from 'node:fs'
     const { Tokenizer } = await import(${JSON.stringify(new URL('../../dist/model/tokenizer.js', import.meta.url).href)})
     const tokenizer = new Tokenizer(${JSON.stringify(nano)})
     await tokenizer.encode('a')
     console.log(readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8'))
     ${then}`,
  ]
  const runs = (pid: number): boolean => {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }

  it.each([
    ['ends by itself', '', 0],
    ['is killed', `process.kill(process.pid, 'SIGKILL')`, null],
    [
      'is killed while it works',
      `tokenizer.encode(' '.repeat(5e6)); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100)`,
      null,
    ],
  ])('takes the process with it when it %s', async (_, then, code) => {
    const outcome = await runNode(script(then))
    expect(outcome).toMatchObject({ code, err: '' })
    const pid = Number(outcome.out.trim())
    expect(pid).toBeGreaterThan(1)
    await expect.poll(() => runs(pid), { timeout: 10_000 }).toBe(false)
  })
})
