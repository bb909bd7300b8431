import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { needleSamples } from '../../src/data/needle.js'
import { readSamples } from '../../src/data/samples.js'
import { decodeText } from '../../src/data/text-file.js'
import { scratchFolder } from '../scratch.js'

const remedy = 'do this'
const decode = (bytes: Uint8Array, encoding?: string): string =>
  decodeText(bytes, 'notes.txt', { encoding, remedy })
const latin = (text: string): Buffer => Buffer.from(text, 'latin1')
const swapped = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16()

describe('text is read', () => {
  it.each<[string, Uint8Array, string | undefined]>([
    ['in UTF-8', Buffer.from('Grüße, 世界 👋\0'.slice(0, -1)), undefined],
    ['in UTF-8 with a byte order mark', Buffer.from('\ufeffGrüße, 世界 👋'), undefined],
    ['in UTF-16 with a mark', Buffer.from('\ufeffGrüße, 世界 👋', 'utf16le'), undefined],
    ['in big-endian UTF-16 with a mark', swapped('\ufeffGrüße, 世界 👋'), undefined],
    ['in UTF-16 that is named', Buffer.from('Grüße, 世界 👋', 'utf16le'), 'utf-16le'],
    ['in UTF-16 that is named and marked', Buffer.from('\ufeffGrüße, 世界 👋', 'utf16le'), 'utf-16le'],
  ])('%s', (_, bytes, encoding) => {
    expect(decode(bytes, encoding)).toBe('Grüße, 世界 👋')
  })

  it('in encodings that TextDecoder knows', () => {
    expect(decode(latin('Grüße'), 'latin1')).toBe('Grüße')
    expect(decode(Buffer.from([0x83, 0x65, 0x83, 0x58]), 'shift_jis')).toBe('テス')
    expect(decode(Buffer.from([0xc4, 0xe3]), 'gb18030')).toBe('你')
  })

  it('with a character that stands for bad bytes, and with a zero byte where the encoding is named', () => {
    expect(decode(Buffer.from('a\ufffdb'))).toBe('a\ufffdb')
    expect(decode(Buffer.from('a\0b'), 'utf-8')).toBe('a\0b')
  })
})

describe('text is refused, with the byte that does not fit:', () => {
  const utf8 = (bytes: number[]): Buffer => Buffer.concat([Buffer.from('世\ufffd'), Buffer.from(bytes)])
  it.each<[string, Uint8Array, string | undefined, string]>([
    ['Latin-1', latin('Grüße'), undefined, 'notes.txt is not UTF-8: byte 2 is 0xFC; do this'],
    [
      'after wide characters',
      utf8([0x41, 0xff]),
      undefined,
      'notes.txt is not UTF-8: byte 7 is 0xFF; do this',
    ],
    ['cut off', utf8([0xe4, 0xb8]), undefined, 'notes.txt is not UTF-8: byte 6 is 0xE4; do this'],
    ['a surrogate', utf8([0xed, 0xa0, 0x80]), undefined, 'notes.txt is not UTF-8: byte 6 is 0xED; do this'],
    ['overlong', utf8([0xc0, 0x80]), undefined, 'notes.txt is not UTF-8: byte 6 is 0xC0; do this'],
    [
      'behind a mark',
      Buffer.concat([Buffer.from('\ufeffa'), latin('é')]),
      undefined,
      'notes.txt is not UTF-8: byte 4 is 0xE9; do this',
    ],
    [
      'UTF-16 without a mark',
      Buffer.from('Hi', 'utf16le'),
      undefined,
      'notes.txt is no text in UTF-8: byte 1 is 0, as in UTF-16 without a byte order mark; do this',
    ],
    [
      'odd UTF-16',
      Buffer.from([0xff, 0xfe, 0x41]),
      undefined,
      'notes.txt is not utf-16le throughout; do this',
    ],
    ['half a character', Buffer.from([0x83]), 'shift_jis', 'notes.txt is not shift_jis throughout; do this'],
    [
      'an unknown encoding',
      latin('a'),
      'klingon',
      "--encoding must be a label such as utf-8, windows-1252, utf-16le, shift_jis or gb18030, got 'klingon'",
    ],
    [
      'a misspelt encoding',
      latin('a'),
      'shiftjs',
      "--encoding must be a label such as utf-8, windows-1252, utf-16le, shift_jis or gb18030, got 'shiftjs'; did you mean shift_jis?",
    ],
  ])('%s', (_, bytes, encoding, sentence) => {
    expect(() => decode(bytes, encoding)).toThrow(
      expect.objectContaining({ message: sentence, code: 'HEADZIP_INPUT' }) as Error,
    )
  })
})

describe('data files', () => {
  const folder = scratchFolder()

  it('in JSON Lines with a byte order mark are read, and in Latin-1 refused', async () => {
    const [marked, wrong] = [join(folder, 'marked.jsonl'), join(folder, 'wrong.jsonl')]
    writeFileSync(marked, '\ufeff{"prompts":["Grüße"]}\n')
    writeFileSync(wrong, latin('{"prompts":["Grüße"]}\n'))
    expect((await readSamples(marked))[0]!.context).toBe('Grüße')
    await expect(readSamples(wrong)).rejects.toThrow(
      `${wrong} is not UTF-8: byte 15 is 0xFC; iconv -t UTF-8 converts it`,
    )
  })

  it('of a haystack in Latin-1 are refused', async () => {
    writeFileSync(join(folder, 'hay.txt'), latin('Grüße '))
    const tokenizer = { encode: (text: string) => [...text].map((_, i) => i), decode: () => '' }
    await expect(needleSamples(tokenizer, { haystack: folder, lengths: [500] })).rejects.toThrow(
      'hay.txt is not UTF-8: byte 2 is 0xFC',
    )
  })
})
