/** Scores that callers hand over: whether they are scores at all, and whether they are sound. */

import { check, checkEach, checkFields } from '../check.js'
import { invalidParameter } from '../errors.js'
import type { HeadScores } from './head-scores.js'
import type { Part } from './stability.js'
import { verifyScores } from './verify.js'

/** @throws TypeError or RangeError for what scores do not look like, InputError for those that are not sound */
export function checkScores(value: unknown, name = 'scores'): void {
  checkScoreFields(value, name)
  verifyScores(value as HeadScores, name)
}

/** The kinds of the fields, where somebody else says whether what they hold is sound. */
export function checkScoreFields(value: unknown, name = 'scores'): void {
  checkFields(value, name, {
    layers: 'count',
    kvHeads: 'count',
    layerIds: 'ids',
    max: 'floats',
    mean: 'floats|null',
    p99: 'floats|null',
    positions: 'count',
    pairs: 'floats|null',
    provenance: 'object',
  })
  const { provenance } = value as HeadScores
  checkFields(provenance, `${name}.provenance`, {
    model: 'string',
    modelHash: 'string',
    sources: 'list',
    method: 'string',
    sweep: 'string',
    chunkSize: 'count',
    arithmetic: 'string',
    engineVersion: 'string',
    created: 'string',
    rope: 'string?',
    modelLayers: 'count?',
  })
  for (const [i, source] of provenance.sources.entries())
    checkFields(source, `${name}.provenance.sources[${i}]`, {
      data: 'string',
      index: 'count',
      tokens: 'count',
    })
}

/** What ranking heads needs of scores. */
export function checkRanked(value: unknown, name = 'scores'): void {
  checkFields(value, name, { max: 'floats' })
  const { max, mean } = value as { max: Float32Array; mean?: unknown }
  if (max.length === 0) throw invalidParameter(`${name}.max`, 'a score for every head', Array.from(max))
  checkFinite(max, `${name}.max`, max.length)
  if (mean === undefined || mean === null) return
  check(mean, `${name}.mean`, 'floats')
  checkFinite(mean as Float32Array, `${name}.mean`, max.length)
}

/** An empty list is refused by who merges it. */
export function checkParts(value: unknown): void {
  checkEach(
    value,
    'parts',
    (part, name) => {
      checkRanked(part, name)
      checkFields(part, name, { mean: 'floats|null', positions: 'count' })
    },
    0,
  )
  const parts = value as Part[]
  for (const [i, { max }] of parts.entries())
    if (max.length !== parts[0]!.max.length)
      throw invalidParameter(`parts[${i}].max`, `${parts[0]!.max.length} scores, as in parts[0]`, max.length)
}

function checkFinite(values: Float32Array, name: string, length: number): void {
  if (values.length !== length) throw invalidParameter(name, `${length} scores`, values.length)
  const at = values.findIndex((value) => !Number.isFinite(value))
  if (at >= 0) throw invalidParameter(`${name}[${at}]`, 'a finite number', values[at])
}
