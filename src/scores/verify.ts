/** What every HeadScores must hold, checked wherever one enters or leaves the program. */

import { InputError } from '../errors.js'
import type { HeadScores, Provenance, Source } from './head-scores.js'

/** More layers or heads than any model has: a guard against files that claim absurd sizes. */
export const largestSide = 65_536

/**
 * @param where names the file or the scores in the message
 * @throws InputError: sizes that disagree, values that are not finite, positions that contradict the columns
 */
export function verifyScores(scores: HeadScores, where: string): HeadScores {
  const { layers, kvHeads, positions } = scores
  const cells = layers * kvHeads
  if (!isCount(layers, 1, largestSide) || !isCount(kvHeads, 1, largestSide))
    throw new InputError(
      `${where} holds ${layers} layers of ${kvHeads} KV heads, at least one of each is needed`,
    )
  if (scores.layerIds.length !== layers)
    throw new InputError(`${where} names ${scores.layerIds.length} layers but holds ${layers}`)
  for (const [i, id] of scores.layerIds.entries())
    if (id < 0 || (i > 0 && id <= scores.layerIds[i - 1]!))
      throw new InputError(`${where} lists layer ${id} out of order`)
  const { modelLayers } = scores.provenance
  if (modelLayers !== undefined && !isCount(modelLayers, (scores.layerIds.at(-1) ?? -1) + 1, largestSide))
    throw new InputError(
      `${where} scores layer ${scores.layerIds.at(-1)} of a model of ${modelLayers} layers`,
    )
  if (!isCount(positions, 0)) throw new InputError(`${where} says that it summarises ${positions} positions`)
  verifyColumn(scores.max, cells, 'max', where)
  if (scores.mean) verifyColumn(scores.mean, cells, 'mean', where)
  if (scores.p99) verifyColumn(scores.p99, cells, 'p99', where)
  if (scores.mean && positions === 0) throw new InputError(`${where} has means over 0 positions`)
  if (scores.pairs) verifyColumn(scores.pairs, cells * positions, 'pairs', where)
  return scores
}

function verifyColumn(values: Float32Array, length: number, name: string, where: string): void {
  if (values.length !== length)
    throw new InputError(`${where} has ${values.length} values of ${name} where ${length} are needed`)
  const at = values.findIndex((value) => !Number.isFinite(value))
  if (at >= 0)
    throw new InputError(`${where} has ${values[at]} as value ${at} of ${name}; scores must be finite`)
}

/** Provenance as it stands in a file's metadata. @throws InputError naming the first field that is wrong */
export function parseProvenance(text: string, where: string): Provenance {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    throw new InputError(`${where} has provenance that is not JSON`)
  }
  const fields = asRecord(found, 'provenance', where)
  const sweep = stringOf(fields, 'sweep', where)
  if (sweep !== '' && sweep !== 'full' && sweep !== 'chunk' && sweep !== 'block')
    throw new InputError(`${where} names an unknown sweep '${sweep}'; known are full, chunk and block`)
  if (!Array.isArray(fields.sources) || fields.sources.length === 0)
    throw new InputError(`${where} names no sources in its provenance`)
  const modelLayers = fields.modelLayers === undefined ? 0 : countOf(fields, 'modelLayers', where)
  return {
    model: stringOf(fields, 'model', where),
    modelHash: stringOf(fields, 'modelHash', where),
    sources: fields.sources.map((source: unknown) => sourceOf(source, where)),
    method: stringOf(fields, 'method', where),
    sweep,
    chunkSize: countOf(fields, 'chunkSize', where),
    arithmetic: stringOf(fields, 'arithmetic', where),
    engineVersion: stringOf(fields, 'engineVersion', where),
    created: stringOf(fields, 'created', where),
    ...(fields.rope !== undefined && { rope: stringOf(fields, 'rope', where) }),
    ...(modelLayers > 0 && { modelLayers }),
  }
}

function sourceOf(found: unknown, where: string): Source {
  const fields = asRecord(found, 'source', where)
  return {
    data: stringOf(fields, 'data', where),
    index: countOf(fields, 'index', where),
    tokens: countOf(fields, 'tokens', where),
    ...(fields.part !== undefined && { part: partOf(fields.part, where) }),
  }
}

function partOf(found: unknown, where: string): NonNullable<Source['part']> {
  const fields = asRecord(found, 'part of a source', where)
  const part = {
    start: countOf(fields, 'start', where),
    end: countOf(fields, 'end', where),
    of: countOf(fields, 'of', where),
  }
  if (part.start < part.end && part.end <= part.of) return part
  throw new InputError(`${where} has the part ${part.start} to ${part.end} of a context of ${part.of} tokens`)
}

function asRecord(found: unknown, what: string, where: string): Record<string, unknown> {
  if (typeof found === 'object' && found !== null && !Array.isArray(found)) return { ...found }
  throw new InputError(`${where} has a ${what} that is not an object`)
}

function stringOf(fields: Record<string, unknown>, name: string, where: string): string {
  const value = fields[name]
  if (typeof value === 'string') return value
  throw new InputError(`${where} lacks the text '${name}' in its provenance`)
}

function countOf(fields: Record<string, unknown>, name: string, where: string): number {
  const value = fields[name]
  if (typeof value === 'number' && isCount(value, 0)) return value
  throw new InputError(`${where} lacks the whole number '${name}' in its provenance`)
}

export function isCount(value: number, least: number, most = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}

/** `sample_qa_eng-0`; several sources are joined by ` + `. */
export function sourceLabel(scores: HeadScores): string {
  return scores.provenance.sources
    .map(({ data, index, part }) => `${data}-${index}${part ? ` [${part.start}, ${part.end})` : ''}`)
    .join(' + ')
}

/** The same for a title: samples that follow one another in their data set are told by the first and the last. */
export function shortSourceLabel({ provenance }: HeadScores): string {
  const runs: { data: string; first: number; last: number }[] = []
  for (const { data, index } of provenance.sources) {
    const run = runs.at(-1)
    if (run && run.data === data && index === run.last + 1) run.last = index
    else runs.push({ data, first: index, last: index })
  }
  return runs
    .map(({ data, first, last }) => `${data}-${first}${last > first ? ` to ${last}` : ''}`)
    .join(' + ')
}
