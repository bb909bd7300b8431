/** Scores of several samples or data sets -> one set: the element-wise maximum, as KVzip merges; estimates average. */

import { checkEach } from '../check.js'
import { InputError } from '../errors.js'
import { checkScoreFields } from './check.js'
import type { HeadScores, Provenance, Source } from './head-scores.js'
import { sourceLabel, verifyScores } from './verify.js'

/** What merging makes of head scores: an estimate's definition takes the mean over texts, each counted alike. */
export function mergesTo({ provenance }: HeadScores): 'maximum' | 'mean' {
  return provenance.method === 'duo-estimate' ? 'mean' : 'maximum'
}

/**
 * max and p99: element-wise maximum (see `mergesTo` for the exception). mean: weighted by positions, hence the mean over all of them.
 * Both optional columns need every input to have them. Pair scores belong to one source and are dropped.
 * `created` is the latest of the inputs', so that the same inputs merge to the same scores.
 * @throws InputError naming the two inputs that do not belong together, or a source that is in two of them
 */
export function mergeScores(list: readonly HeadScores[]): HeadScores {
  checkEach(list, 'list', checkScoreFields, 0)
  const [first, ...others] = list
  if (!first) throw new InputError('nothing to merge: no scores were given')
  for (const other of others) refuseDifferent(first, other)
  for (const scores of list) verifyScores(scores, sourceLabel(scores))
  refuseRepeated(list)
  const positions = list.reduce((sum, scores) => sum + scores.positions, 0)
  const ropes = new Set(list.flatMap(({ provenance }) => provenance.rope ?? []))
  return {
    layers: first.layers,
    kvHeads: first.kvHeads,
    layerIds: first.layerIds.slice(),
    max: mergesTo(first) === 'mean' ? meanOverTexts(list) : largest(list.map((scores) => scores.max)),
    mean: list.every((scores) => scores.mean) ? weightedMean(list, positions) : null,
    p99: list.every((scores) => scores.p99) ? largest(list.map((scores) => scores.p99!)) : null,
    positions,
    pairs: null,
    provenance: {
      ...first.provenance,
      sources: mergeSources(list.flatMap((scores) => scores.provenance.sources)),
      arithmetic: joined(list, 'arithmetic'),
      engineVersion: joined(list, 'engineVersion'),
      created: list
        .map((scores) => scores.provenance.created)
        .sort()
        .at(-1)!,
      ...(ropes.size > 0 && { rope: [...ropes].join(' + ') }),
    },
  }
}

const mustAgree = [
  ['model', (scores) => scores.provenance.model],
  ['model hash', (scores) => scores.provenance.modelHash.slice(0, 12) || 'none'],
  ['shape', (scores) => `${scores.layers} layers x ${scores.kvHeads} KV heads`],
  ['set of scored layers', (scores) => Array.from(scores.layerIds).join(',')],
  ['method', (scores) => scores.provenance.method],
  ['sweep', (scores) => scores.provenance.sweep || 'unknown'],
  ['chunk size', (scores) => scores.provenance.chunkSize],
] as const satisfies readonly [string, (scores: HeadScores) => string | number][]

function refuseDifferent(a: HeadScores, b: HeadScores): void {
  for (const [name, of] of mustAgree)
    if (of(a) !== of(b))
      throw new InputError(
        `${sourceLabel(a)} and ${sourceLabel(b)} cannot be merged: their ${name} differs, ${of(a)} against ${of(b)}`,
      )
}

/** A maximum would not mind, but the mean would count the source twice. */
function refuseRepeated(list: readonly HeadScores[]): void {
  const holder = new Map<string, HeadScores>()
  for (const scores of list)
    for (const { data, index, part } of scores.provenance.sources) {
      // Parts of one context are different sources; that they do not overlap is seen when they are merged.
      const key = `${data}-${index}${part ? ` from ${part.start}` : ''}`
      const other = holder.get(key)
      if (other && other !== scores)
        throw new InputError(
          `${sourceLabel(other)} and ${sourceLabel(scores)} cannot be merged: both hold ${key}`,
        )
      holder.set(key, scores)
    }
}

/**
 * Parts of a context that follow one another become one source; all of them, the context. The 99th percentile of a
 * context joined so is the largest of its parts'; its maximum is that of a single run.
 */
function mergeSources(sources: readonly Source[]): Source[] {
  const merged: Source[] = []
  for (const source of sources.toSorted((a, b) => (a.part?.start ?? 0) - (b.part?.start ?? 0))) {
    const { part } = source
    const at = part ? merged.findIndex((each) => sameContext(each, source)) : -1
    const before = merged[at]?.part
    if (!part || !before) merged.push(source)
    else if (before.of !== part.of || part.start < before.end)
      throw new InputError(`two inputs hold token ${part.start} of ${source.data}-${source.index}`)
    else if (part.start === before.end) merged[at] = withPart(source, { ...before, end: part.end })
    else merged.push(source)
  }
  // in the order given: those without parts have kept it
  const order = (source: Source): number => sources.findIndex((each) => sameContext(each, source))
  return merged.sort((a, b) => order(a) - order(b))
}

function sameContext(a: Source, b: Source): boolean {
  return a.data === b.data && a.index === b.index
}

function withPart({ data, index }: Source, part: NonNullable<Source['part']>): Source {
  const tokens = part.end - part.start
  return tokens === part.of ? { data, index, tokens } : { data, index, tokens, part }
}

function largest(columns: Float32Array[]): Float32Array {
  const result = columns[0]!.slice()
  for (const column of columns.slice(1))
    for (let i = 0; i < result.length; i++) result[i] = Math.max(result[i]!, column[i]!)
  return result
}

/** A file may already hold the mean of several. */
function meanOverTexts(list: readonly HeadScores[]): Float32Array {
  const texts = list.map(({ provenance }) => provenance.sources.length)
  const all = texts.reduce((a, b) => a + b)
  return list[0]!.max.map((_, cell) =>
    list.reduce((sum, { max }, i) => sum + (max[cell]! * texts[i]!) / all, 0),
  )
}

function weightedMean(list: readonly HeadScores[], positions: number): Float32Array {
  const sum = new Float64Array(list[0]!.max.length)
  for (const scores of list)
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + scores.mean![i]! * scores.positions
  return Float32Array.from(sum, (value) => value / positions)
}

function joined(
  list: readonly HeadScores[],
  field: keyof Provenance & ('arithmetic' | 'engineVersion'),
): string {
  return [...new Set(list.map((scores) => scores.provenance[field]))].join(' + ')
}
