import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { scratchFolder } from '../scratch.js'
import { headzip } from './headzip.js'

const cwd = scratchFolder()
const kim = 'My name is Kim. I live in Zürich.'
writeFileSync(join(cwd, 'latin.txt'), Buffer.from(kim, 'latin1'))
writeFileSync(join(cwd, 'wide.txt'), Buffer.from(`\ufeff${kim}`, 'utf16le'))
writeFileSync(join(cwd, 'long.txt'), `${kim} ${'Nothing happened. '.repeat(120)}`)

const ask = (...args: string[]): ReturnType<typeof headzip> =>
  headzip(['ask', 'nano', '--query', 'What is my name?', ...args], { cwd })

describe('the context of headzip ask', () => {
  it('that is not UTF-8 is refused with the byte, and --encoding is the way out', async () => {
    const refused = await ask('--context', 'latin.txt', '--full')
    expect(refused).toMatchObject({
      code: 2,
      out: '',
      err: '--context latin.txt is not UTF-8: byte 27 is 0xFC; --encoding names another, such as windows-1252, utf-16le, shift_jis or gb18030\n',
    })
    const read = await ask('--context', 'latin.txt', '--full', '--encoding', 'latin1')
    expect(read).toMatchObject({ code: 0, err: '' })
    expect(read.out).toContain('> What is my name?\nKim\n')
  })

  it('in UTF-16 with a byte order mark is read as it is', async () => {
    const { out, code } = await ask('--context', 'wide.txt', '--full')
    expect(code).toBe(0)
    expect(out).toContain('> What is my name?\nKim\n')
  })

  it('from standard input is checked alike', async () => {
    const { err } = await headzip(['ask', 'nano', '--query', 'Who?', '--full', '--context', '-'], {
      cwd,
      input: 'a\0b',
    })
    expect(err).toMatch(/^the context from standard input is no text in UTF-8: byte 1 is 0, /)
  })

  it('is cut to --max-context tokens, and repeated in chunks of --chunk-size', async () => {
    const args = ['--context', 'long.txt', '--level', 'pair', '--ratio', '30%', '--json']
    const all = await ask(...args)
    const cut = await ask(...args, '--max-context', '100', '--chunk-size', '50')
    const totalOf = ({ out }: { out: string }): number =>
      (JSON.parse(out) as { caches: { total: number }[] }).caches[0]!.total
    expect(totalOf(all)).toBeGreaterThan(24 * 400)
    expect(totalOf(cut)).toBe(24 * 100)
  })

  it.each([
    [
      ['--context', 'latin.txt', '--full', '--chunk-size', '50'],
      '--chunk-size belongs to the levels pair and pair-uniform\n',
    ],
    [
      ['--cache', 'none.kv', '--encoding', 'latin1'],
      '--max-context, --chunk-size and --encoding are of a context that is read: give them without --cache\n',
    ],
  ])('%j is refused', async (args, sentence) => {
    expect(await ask(...args)).toMatchObject({ code: 2, err: sentence })
  })
})
