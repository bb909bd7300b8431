import { expect, test } from 'vitest'
import { budget, formatBudget } from '../../src/scores/budget.js'

const heads = { kept: 3, total: 5 }

test('the four words differ by what they count', () => {
  const words = budget({ ...heads, ratio: 0.6, sink: 100, recent: 150, tokens: 1000 })
  expect(words).toMatchObject({ unit: 'head', total: 5, kept: 3, asked: 0.6, ratio: 0.6, sparsity: 0.4 })
  // Two of five heads keep 250 of 1,000 tokens: 0.6 + 0.4 * 0.25
  expect(words.effectiveKv).toBeCloseTo(0.7, 12)
  expect(words.compressionRatio).toBeCloseTo(0.3, 12)
})

test('single pairs leave every head its sink, and make none streaming', () => {
  const words = budget({ unit: 'pair', kept: 270, total: 900, ratio: 0.3, sink: 100, recent: 0, tokens: 400 })
  // 100 of 400 tokens are the sink, 30% of the other 300 stay
  expect(words.effectiveKv).toBeCloseTo(190 / 400, 12)
  expect(words).toMatchObject({ ratio: 0.3, sparsity: 0 })
  expect(formatBudget(words)).toBe(
    [
      "ratio              0.3000  share of the context's pairs kept: 270 of 900, asked 0.3",
      'sparsity           0.0000  share of KV heads made streaming: none, pairs are evicted one by one',
      'compression_ratio  0.5250  share of the cache removed, at 400 tokens',
      "effective KV       0.4750  share of the cache's bytes kept, 100 prefix tokens in every head",
    ].join('\n'),
  )
})

test('a context shorter than the windows saves nothing', () => {
  expect(budget({ ...heads, ratio: 0.6, sink: 128, recent: 256, tokens: 300 }).effectiveKv).toBe(1)
})

test('the table says every word with its number and meaning', () => {
  expect(formatBudget(budget({ ...heads, ratio: 0.5, sink: 128, recent: 256, tokens: 3840 }))).toBe(
    [
      'ratio              0.6000  share of KV heads that keep their context: 3 of 5, asked 0.5',
      'sparsity           0.4000  share of KV heads made streaming: 2 of 5',
      'compression_ratio  0.3600  share of the cache removed, at 3840 tokens',
      "effective KV       0.6400  share of the cache's bytes kept, 128 sink and 256 recent tokens a streaming head",
    ].join('\n'),
  )
})

test('what depends on an unknown length is left open', () => {
  const words = budget({ ...heads, ratio: 0.6, sink: 128, recent: 256, tokens: null })
  expect([words.effectiveKv, words.compressionRatio]).toEqual([null, null])
  expect(formatBudget(words)).toContain(
    'compression_ratio       -  share of the cache removed, the context length is not known',
  )
})

test('tokens that cannot be are refused', () => {
  expect(() => budget({ ...heads, ratio: 0.6, sink: -1, recent: 256, tokens: 5 })).toThrow(
    'sink must be a whole number of tokens, got -1',
  )
  expect(() => budget({ ...heads, ratio: 0.6, sink: 1, recent: 256, tokens: 0 })).toThrow('tokens must be')
})
