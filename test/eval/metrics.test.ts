import { describe, expect, it } from 'vitest'
import { functionMatch } from '../../src/eval/metrics/function-match.js'
import { include } from '../../src/eval/metrics/include.js'
import { metricNameOf } from '../../src/eval/metrics/index.js'
import { normalize } from '../../src/eval/metrics/normalize.js'

describe('normalising an answer', () => {
  it('drops case, punctuation, articles and extra blanks, and writes numerals as digits', () => {
    expect(normalize('The  answer, it is: "An apple" -- two\u00a0of them.\n')).toBe(
      'answer it is apple 2 of them',
    )
  })

  it('sees words as Python does, next to other letters too', () => {
    expect(normalize('aé the\u0085b a\u001cc \ufeffa')).toBe('aé b c \ufeff')
    expect(normalize('five五 one_two')).toBe('five五 onetwo')
  })
})

describe('include', () => {
  it.each([
    ['It is Seoul.', 'seoul', 1],
    ['It is Busan.', 'Seoul', 0],
    ['', '', 0],
    [' \n', '', 0],
    ['anything', '', 1],
  ])('scores %j against %j as %d', (prediction, reference, score) => {
    expect(include(prediction, reference)).toBe(score)
  })
})

describe('function match', () => {
  const reference = '```python\n    def f(x):\n        return x\n```'
  it.each([
    ['Here it is:\n```python\n    def f(x):  \n        return x\n```\nDone.', 1],
    ['    def f(x):\n        return x\n', 1],
    ['```python\n    def f(x):\n        return x', 1],
    ['```python\ndef f(x):\n    return x\n```', 0],
    ['```python\n    def f(x):\n        return y\n```', 0],
    ['', 0],
  ])('scores %j as %d', (prediction, score) => {
    expect(functionMatch(prediction, reference)).toBe(score)
  })
})

it.each([
  ['sample_repoqa', 'repoqa'],
  ['scbench_repoqa_and_kv_tiny', 'repoqa_and_kv'],
  ['scbench_summary_with_needles', 'by_task'],
  ['scbench_summary_short', 'rouge_l'],
  ['sample_qa_eng', 'f1_or_include'],
  ['scbench_kv', 'include'],
  ['squad', 'include'],
])('%s is judged by %s', (data, metric) => {
  expect(metricNameOf(data)).toBe(metric)
})
