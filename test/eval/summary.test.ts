import { describe, expect, it } from 'vitest'
import { decodeResult, encodeResult, type ResultRow, type SampleResult } from '../../src/eval/record.js'
import { mergeResults } from '../../src/eval/store.js'
import { summarize } from '../../src/eval/summary.js'
import { formatSummary } from '../../src/eval/table.js'

function row(
  level: ResultRow['level'],
  ratio: number,
  score: number,
  rest: Partial<ResultRow> = {},
): ResultRow {
  const prediction = score === 1 ? 'yes' : 'no'
  return {
    level,
    ratio,
    score,
    prediction,
    scores: '',
    draw: 0,
    question: 0,
    keptBytes: 100 * ratio,
    fullBytes: 100,
    ...rest,
  }
}

function sample(index: number, rows: ResultRow[], rest: Partial<SampleResult> = {}): SampleResult {
  return {
    model: 'm',
    data: 'd',
    index,
    tokens: 10,
    settings: {
      modelHash: 'a',
      metric: 'include',
      template: 'plain',
      generationLength: 96,
      kind: 'retain',
      sweep: 'full',
      chunkSize: 2000,
      rule: 'exact',
      sink: 128,
      recent: 256,
      maxContext: null,
      questions: 1,
      sample: 's',
    },
    references: { answers: ['yes'] },
    scoreHashes: {},
    arithmetic: 'cpu/fp32',
    engineVersion: '0',
    rows,
    ...rest,
  }
}

describe('the summary of results', () => {
  const results = [
    sample(0, [
      row('full', 1, 1),
      row('head', 0.5, 1),
      row('random', 0.5, 1),
      row('random', 0.5, 0, { draw: 1 }),
    ]),
    sample(1, [
      row('full', 1, 1),
      row('head', 0.5, 0),
      row('random', 0.5, 0),
      row('random', 0.5, 0, { draw: 1 }),
    ]),
  ]

  it('has means over samples, their standard error, the share of the full cache, and a band over draws', async () => {
    const rows = await summarize(results)
    expect(
      rows.map(({ level, mean, standardError, relative, low, high, draws, effectiveKv }) => ({
        level,
        mean,
        standardError,
        relative,
        low,
        high,
        draws,
        effectiveKv,
      })),
    ).toEqual([
      { level: 'full', mean: 1, standardError: 0, relative: 1, low: 1, high: 1, draws: 1, effectiveKv: 1 },
      {
        level: 'head',
        mean: 0.5,
        standardError: 0.5,
        relative: 0.5,
        low: 0.5,
        high: 0.5,
        draws: 1,
        effectiveKv: 0.5,
      },
      {
        level: 'random',
        mean: 0.25,
        standardError: 0.25,
        relative: 0.25,
        low: 0,
        high: 0.5,
        draws: 2,
        effectiveKv: 0.5,
      },
    ])
  })

  it('is a table in Markdown and CSV', async () => {
    const rows = await summarize(results)
    expect(formatSummary(rows, 'markdown')).toContain(
      '| 0.5 | 50.0 ± 50.0 (0.50x) · 50% KV | 25.0 ± 25.0 [0.0, 50.0] (0.25x) · 50% KV |',
    )
    const [header, first] = formatSummary(rows, 'csv').split('\n')
    expect(header).toBe(
      'model,data,metric,level,scores,ratio,samples,questions,mean,standard_error,relative,low,high,draws,effective_kv,kept_bytes',
    )
    expect(first).toBe('m,d,include,full,,1,2,2,1,0,1,1,1,1,1,100')
  })

  it('counts empty answers as wrong, unless the published rule is asked for', async () => {
    const references = {
      answers: ['def f():\n    return 1 + 2 + 3', 'def g():\n    return 4'],
      lang: ['python', 'python'],
      funcNames: ['f', 'g'],
    }
    const code = sample(0, [
      row('full', 1, 1, { prediction: references.answers[0]! }),
      row('full', 1, 0, { prediction: ' ', question: 1 }),
    ])
    const own = { ...code, references, settings: { ...code.settings, metric: 'repoqa' as const } }
    expect((await summarize([own]))[0]?.mean).toBe(0.5)
    expect((await summarize([own], { empty: 'published' }))[0]?.mean).toBe(1)
  })
})

describe('result files', () => {
  const one = sample(3, [row('full', 1, 1), row('head', 0.1, 0, { scores: 'é', prediction: '五\n"' })])

  it('come back as they were written', () => {
    expect(decodeResult(encodeResult(one), 'f')).toEqual(one)
  })

  it('are refused when cut off, damaged or of another kind', () => {
    const bytes = encodeResult(one)
    expect(() => decodeResult(bytes.subarray(0, 300), 'f')).toThrow('f is not a whole Arrow file')
    expect(() => decodeResult(new Uint8Array(0), 'f')).toThrow('f is not a whole Arrow file')
  })

  it('join without repeating an answer, and refuse to disagree', () => {
    const other = sample(3, [row('head', 0.1, 0, { scores: 'é', prediction: '五\n"' }), row('pair', 0.1, 1)])
    expect(mergeResults(one, other, ['a', 'b']).rows.map(({ level }) => level)).toEqual([
      'full',
      'head',
      'pair',
    ])
    const wrong = sample(3, [row('full', 1, 0)])
    expect(() => mergeResults(one, wrong, ['a', 'b'])).toThrow(
      'a and b answer question 0 of full 1 differently',
    )
    const longer = { ...other, settings: { ...other.settings, generationLength: 32 } }
    expect(() => mergeResults(one, longer, ['a', 'b'])).toThrow(
      'a was made with another generation length than b, 96 against 32',
    )
  })
})
