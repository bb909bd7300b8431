import { describe, expect, it } from 'vitest'
import { nearest } from '../src/did-you-mean.js'

describe('did you mean', () => {
  const names = ['score', 'merge', 'serve', 'max_tokens', 'Qwen3-8B']

  it.each([
    ['scroe', 'score'],
    ['scor', 'score'],
    ['ask', undefined],
    ['mrge', 'merge'],
    ['max_tokns', 'max_tokens'],
    ['max_new_tokens', 'max_tokens'],
    ['MERGE', 'merge'],
    ['qwen3-8b', 'Qwen3-8B'],
    ['repetition_penalty', undefined],
    ['to', undefined],
  ])('%s -> %s', (word, expected) => {
    expect(nearest(word, names)).toBe(expected)
  })

  it('has nothing to suggest among no names, or for what no name can be', () => {
    expect(nearest('score', [])).toBeUndefined()
    expect(nearest('score'.repeat(100_000), names)).toBeUndefined()
  })
})
