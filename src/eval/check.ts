/** Results and what is asked of an evaluation, as callers hand them over. */

import { check, checkEach, checkFields, checkList } from '../check.js'
import { invalidParameter } from '../errors.js'
import { checkScores } from '../scores/check.js'
import type { Shard } from '../shard.js'
import type { NamedScores } from './arms.js'
import type { SampleResult } from './record.js'

export function checkResults(value: unknown): void {
  checkEach(value, 'results', checkResult, 0)
}

function checkResult(value: unknown, name: string): void {
  checkFields(value, name, {
    model: 'string',
    data: 'string',
    index: 'count',
    settings: 'object',
    references: 'object',
    rows: 'list',
  })
  const { settings, references, rows } = value as SampleResult
  check(settings.metric, `${name}.settings.metric`, 'text')
  checkList(references.answers, `${name}.references.answers`, 'string', 0)
  checkEach(
    rows,
    `${name}.rows`,
    (row, at) =>
      checkFields(row, at, {
        level: 'text',
        scores: 'string',
        ratio: 'ratio',
        draw: 'count',
        question: 'count',
        prediction: 'string',
        score: 'number',
        keptBytes: 'number',
        fullBytes: 'number',
      }),
    0,
  )
}

export function checkSummary(value: unknown, least = 0): void {
  checkEach(
    value,
    'rows',
    (row, name) =>
      checkFields(row, name, {
        model: 'string',
        data: 'string',
        metric: 'string',
        level: 'text',
        scores: 'string',
        ratio: 'ratio',
        samples: 'count',
        questions: 'count',
        mean: 'number',
        standardError: 'number|null',
        relative: 'number|null',
        low: 'number',
        high: 'number',
        draws: 'count',
        effectiveKv: 'number',
        keptBytes: 'number',
      }),
    least,
  )
}

export function checkNamedScores(value: unknown, name: string): void {
  checkFields(value, name, { label: 'text', hash: 'text' })
  checkScores((value as NamedScores).scores, `${name}.scores`)
}

export function checkShard(value: unknown, name: string): void {
  checkFields(value, name, { index: 'count', count: 'positive' })
  const { index, count } = value as Shard
  if (index >= count) throw invalidParameter(`${name}.index`, `below its count of ${count}`, index)
}
