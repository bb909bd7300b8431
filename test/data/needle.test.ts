import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { needleSamples } from '../../src/data/needle.js'
import { describeModel } from '../../src/model/describe.js'
import { scratchFolder } from '../scratch.js'

const tokenizer = describeModel('nano').openTokenizer()
/** A word a token, so that places can be counted by hand. */
const words = {
  encode: (text: string): number[] => Array.from(text.matchAll(/\S+/g), (match) => wordId(match[0])),
  decode: (ids: ArrayLike<number>): string => Array.from(ids, (id) => known[id]!).join(' '),
}
const known: string[] = []
function wordId(word: string): number {
  const at = known.indexOf(word)
  return at >= 0 ? at : known.push(word) - 1
}

function haystack(...texts: string[]): string {
  const folder = join(scratchFolder(), 'hay')
  mkdirSync(folder)
  for (const [i, text] of texts.entries()) writeFileSync(join(folder, `${i}.txt`), text)
  return folder
}

const own = { needle: 'NEEDLE here.', question: 'Where?', answer: 'here' }

describe('the needle generator', () => {
  it('puts the needle behind the last sentence that ends at or before its depth', async () => {
    const folder = haystack('a b. c d e. f g h i j')
    const samples = await needleSamples(words, {
      ...own,
      haystack: folder,
      lengths: [12],
      depths: [0, 30, 60, 100],
    })
    expect(samples.map(({ context }) => context)).toEqual([
      'NEEDLE here. a b. c d e. f g h i j',
      'a b. NEEDLE here. c d e. f g h i j',
      'a b. c d e. NEEDLE here. f g h i j',
      'a b. c d e. f g h i j NEEDLE here.',
    ])
    expect(samples[1]).toMatchObject({
      data: 'needle',
      index: 1,
      queries: ['Where?'],
      answers: ['here'],
      needle: { depth: 30, length: 12 },
    })
  })

  it('goes through the files in order, and again when they are too short', async () => {
    const folder = haystack('a b.', 'c.')
    const [sample] = await needleSamples(words, { ...own, haystack: folder, lengths: [10], depths: [100] })
    expect(sample?.context).toBe('a b. c. a b. c. a b. NEEDLE here.')
  })

  it('makes contexts of the asked lengths from the text that comes with the package', async () => {
    const samples = await needleSamples(tokenizer, { lengths: [300, 700] })
    expect(samples).toHaveLength(22)
    for (const { context, needle } of samples) {
      expect(context).toContain('eat a sandwich and sit in Dolores Park on a sunny day.')
      // joined again, a few tokens may merge at the needle's edges
      expect(Math.abs((await tokenizer.encode(context)).length - needle!.length)).toBeLessThan(5)
    }
  })

  it.each([
    [{ haystack: '/nowhere' }, 'the haystack /nowhere is not a folder'],
    [{ haystack: haystack(), lengths: [60] }, 'holds no .txt file'],
    [{ haystack: haystack(' '), lengths: [60] }, 'are empty'],
    [{ lengths: [3] }, "needle length must be a whole number above the needle's"],
    [{ depths: [120] }, 'needle depth must be a percentage in [0, 100], got 120'],
  ])('refuses %j', async (options, sentence) => {
    await expect(needleSamples(words, options)).rejects.toThrow(sentence)
  })
})
