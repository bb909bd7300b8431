import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { aligned, table } from '../../src/cli/table.js'
import { escapeMarked, paint, terminalOf } from '../../src/cli/terminal.js'
import { budget, budgetRows, formatBudget } from '../../src/scores/budget.js'
import { headzip } from './headzip.js'

const wide = { columns: Number.POSITIVE_INFINITY, colors: false }
const header = ['file', 'tokens', 'lowest', 'time', 'origin']
const rows = [
  ['head_scores/nano/sample_qa_eng-0.arrow', '3091', '0.063', '2.1 s', 'comes with headzip'],
  ['head_scores/nano/sample_repoqa-0.arrow', '2981', '0.1', '1.9 s', 'hub: org/name'],
]
const widest = (text: string): number => Math.max(...text.split('\n').map((line) => stringWidth(line)))
/** What is left when everything that only arranges is taken away. */
const letters = (text: string): string => [...text.replaceAll(/[\s-]/g, '')].sort().join('')

describe('a table', () => {
  it('without a terminal has lines of any length, one a row', () => {
    expect(table(header, rows, wide)).toBe(
      [
        'file                                    tokens  lowest  time   origin',
        '--------------------------------------  ------  ------  -----  ------------------',
        'head_scores/nano/sample_qa_eng-0.arrow    3091   0.063  2.1 s  comes with headzip',
        'head_scores/nano/sample_repoqa-0.arrow    2981     0.1  1.9 s  hub: org/name',
      ].join('\n'),
    )
  })

  it('fits a terminal of 60 columns: text is wrapped, numbers are not', () => {
    expect(table(header, rows, { ...wide, columns: 60 })).toBe(
      [
        'file                  tokens  lowest  time   origin',
        '--------------------  ------  ------  -----  ---------------',
        'head_scores/nano/sam    3091   0.063  2.1 s  comes with',
        'ple_qa_eng-0.arrow                           headzip',
        'head_scores/nano/sam    2981     0.1  1.9 s  hub: org/name',
        'ple_repoqa-0.arrow',
      ].join('\n'),
    )
  })

  it.each([100, 80, 72, 60, 50, 40, 30, 20])('of %d columns loses nothing and is no wider', (columns) => {
    const text = table(header, rows, { ...wide, columns })
    expect(widest(text)).toBeLessThanOrEqual(columns)
    const once = letters(rows.flat().join(''))
    const found = letters(text)
    for (const letter of new Set(once))
      expect(found.split(letter).length).toBeGreaterThanOrEqual(once.split(letter).length)
    for (const number of ['3091', '0.063', '2981']) expect(text).toContain(number)
  })

  it('becomes a record a row where no column can be narrow enough', () => {
    expect(table(header, rows, { ...wide, columns: 36 }).split('\n\n')[1]).toBe(
      [
        'file    head_scores/nano/sample_repo',
        '        qa-0.arrow',
        'tokens  2981',
        'lowest  0.1',
        'time    1.9 s',
        'origin  hub: org/name',
      ].join('\n'),
    )
  })

  it('counts wide characters twice, and marks that join others not at all', () => {
    const text = table(
      ['question', 'n'],
      [
        ['世界はどこ', '1'],
        ['e\u0301te\u0301', '2'],
        ['👋🏽 hello', '3'],
      ],
      wide,
    )
    const ends = text.split('\n').map((line) => stringWidth(line))
    expect(new Set(ends)).toEqual(new Set([13]))
    const narrow = table(['q', 'n'], [['世'.repeat(30), '1']], { ...wide, columns: 31 })
    expect(widest(narrow)).toBeLessThanOrEqual(31)
    expect(narrow.split('世')).toHaveLength(31)
  })

  it('has a bold header and a dim rule in colour, at the same places', () => {
    const colored = escapeMarked(table(header, rows, { columns: 70, colors: true }))
    expect(colored).toContain('\u001b[1mtokens\u001b[22m')
    expect(colored).toContain('\u001b[2m-----')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).toBe(table(header, rows, { columns: 70, colors: false }))
  })
})

describe('colours and names from outside', () => {
  const hostile = ['\ufdd0\u001b[31mred\ufdd2', '1']

  it('keep apart: what a cell brings is shown, not done', () => {
    const text = escapeMarked(table(['name', 'n'], [hostile], { ...wide, colors: true }))
    expect(text).toContain('\\ufdd0\\u001b[31mred\\ufdd2  1')
    expect(text.split('\n')[0]).toBe(`\u001b[1mname\u001b[22m${' '.repeat(23)}\u001b[1mn\u001b[22m`)
  })

  it('and so does a text that is printed with a table', () => {
    expect(escapeMarked('a\u001b[31mb\nc\ufdd5')).toBe('a\\u001b[31mb\nc\\ufdd5')
  })

  it('a record a row has bold names that line up', () => {
    const narrow = { columns: 14, colors: true }
    expect(escapeMarked(table(['file', 'tokens'], [['a/b/c/d/e/f', '12345678']], narrow))).toBe(
      '\u001b[1mfile\u001b[22m\n  a/b/c/d/e/f\n\u001b[1mtokens\u001b[22m\n  12345678',
    )
  })
})

describe('the four words of a budget', () => {
  const of = budget({ kept: 14, total: 24, ratio: 0.6, sink: 128, recent: 256, tokens: 3091 })

  it('stand as they always did without a terminal', () => {
    expect(aligned(budgetRows(of), wide)).toBe(formatBudget(of))
  })

  it('go on under their meaning in 80 columns', () => {
    const lines = aligned(budgetRows(of), { ...wide, columns: 80 }).split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(lines.at(-2)).toBe("effective KV       0.6351  share of the cache's bytes kept, 128 sink and 256")
    expect(lines.at(-1)).toBe(`${' '.repeat(27)}recent tokens a streaming head`)
  })

  it('stand under one another in 30', () => {
    const text = aligned(budgetRows(of), { ...wide, columns: 30 })
    expect(widest(text)).toBeLessThanOrEqual(30)
    expect(text.split('\n').slice(0, 2)).toEqual([
      'ratio              0.5833',
      '  share of KV heads that keep',
    ])
  })
})

describe('colour', () => {
  const tty = { isTTY: true, columns: 80 }
  it.each<[string, object, Record<string, string>, boolean]>([
    ['is on in a terminal', tty, {}, true],
    ['is off in a pipe', {}, {}, false],
    ['is off in a terminal with NO_COLOR', tty, { NO_COLOR: '1' }, false],
    ['is on with an empty NO_COLOR', tty, { NO_COLOR: '' }, true],
    ['is on in a pipe with FORCE_COLOR', {}, { FORCE_COLOR: '1' }, true],
    ['is off in a terminal with FORCE_COLOR=0', tty, { FORCE_COLOR: '0' }, false],
    ['is off with both', {}, { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
    ['is off in a dumb terminal', tty, { TERM: 'dumb' }, false],
  ])('%s', (_, stream, env, colors) => {
    expect(terminalOf(stream, env).colors).toBe(colors)
  })

  it('ends where it began, and leaves text alone where there is none', () => {
    expect(paint('red', 'no', { colors: true })).toBe('\u001b[31mno\u001b[39m')
    expect(paint('red', 'no', { colors: false })).toBe('no')
    expect(terminalOf({ columns: 80 }, {}).columns).toBe(Number.POSITIVE_INFINITY)
    expect(terminalOf(tty, {}).columns).toBe(80)
  })

  it('is on the command line what these variables say', async () => {
    const run = async (env: Record<string, string>) => {
      const [doctor, wrong] = await Promise.all([
        headzip(['data', 'list'], { env }),
        headzip(['scroe'], { env }),
      ])
      return [doctor.out.split('\n')[0]!.slice(0, 14), wrong.err]
    }
    const sentence = 'Unknown command: scroe; did you mean score?'
    expect(await run({ NO_COLOR: '', FORCE_COLOR: '' })).toEqual(['name          ', `${sentence}\n`])
    expect(await run({ FORCE_COLOR: '1', NO_COLOR: '' })).toEqual([
      '\u001b[1mname\u001b[22m ',
      `\u001b[31m${sentence}\u001b[39m\n`,
    ])
    expect(await run({ FORCE_COLOR: '1', NO_COLOR: '1' })).toEqual(['name          ', `${sentence}\n`])
  })
})
