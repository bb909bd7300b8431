/** The header of a cache file: what it says, and what of that is believed. */

import { InputError } from '../errors.js'
import type { ModelDescription } from '../model/describe.js'
import type { ModelIdentity, PruneResult } from './kv-cache.js'

export interface Header {
  model: ModelIdentity
  contextHash: string
  sink: number
  context: number
  position: number
  evicted: boolean
  vocab: number
  /** All layers, those that are not scored too. */
  modelLayers: number
  ropePositions: number
  /** (layers * 2) KV heads and head_dim of each layer. Older files have none: those of `model` hold for every layer. */
  geometry?: number[]
  /** (KV heads of all layers) */
  lengths: number[]
  /** (those heads * 2) */
  windows: number[]
  fullBytes: number
  pruned: PruneResult | null
}

/** KV heads of all layers together. */
export function kvHeadsOf({ spec }: ModelDescription): number {
  return spec.layers.reduce((sum, { attention }) => sum + attention.kvHeads, 0)
}

/** KV heads and head_dim of each layer, as in a header. */
export function geometryOf({ spec }: ModelDescription): number[] {
  return spec.layers.flatMap(({ attention: { kvHeads, headDim } }) => [kvHeads, headDim])
}

/** @throws InputError unless the file can be one of this model's; the engine checks how the numbers fit */
export function checkHeader(
  path: string,
  header: Header,
  description: ModelDescription,
  model: ModelIdentity,
): void {
  const { spec } = description
  const { model: of } = header
  if (of.hash !== model.hash) {
    const what = of.id === model.id ? `another ${of.id}, whose config or weights differ` : of.id
    throw new InputError(`${path} holds a cache of ${what}, not of the ${model.id} that is loaded`)
  }
  if (of.arithmetic !== model.arithmetic || of.elementBytes !== model.elementBytes) {
    throw new InputError(
      `${path} holds a cache made in ${of.arithmetic}, but this engine computes in ${model.arithmetic}`,
    )
  }
  const heads = kvHeadsOf(description)
  const { layers, kvHeads, headDim } = of
  if (
    layers !== model.layers ||
    header.modelLayers !== spec.layers.length ||
    kvHeads !== model.kvHeads ||
    headDim !== model.headDim ||
    !hasGeometry(header, geometryOf(description))
  )
    throw damaged(path)
  if (header.lengths.length !== heads || header.windows.length !== 2 * heads) throw damaged(path)
  const { vocab, position, lengths } = header
  if (vocab !== spec.vocabSize)
    throw impossible(path, `a vocabulary of ${vocab} entries, where the model's has ${spec.vocabSize}`)
  const { reach } = description
  if (position > reach) throw impossible(path, `${position} tokens, where the model has ${reach} positions`)
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0)
  if (longest > position)
    throw impossible(path, `a head with ${longest} entries, where there are ${position} tokens`)
}

function hasGeometry({ geometry, model }: Header, expected: readonly number[]): boolean {
  if (!geometry) return expected.every((size, i) => size === (i % 2 === 0 ? model.kvHeads : model.headDim))
  return geometry.length === expected.length && geometry.every((size, i) => size === expected[i])
}

/** Nothing of a header is believed before its kind has been checked. */
export function parseHeader(path: string, text: string): Header {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged(path)
  }
  const header = record(value)
  const model = record(header?.model)
  const pruned = header?.pruned === null ? {} : record(header?.pruned)
  const counts = [
    header?.sink,
    header?.context,
    header?.position,
    header?.vocab,
    model?.elementBytes,
    header?.modelLayers,
    header?.ropePositions,
  ]
  const sizes = [model?.layers, model?.kvHeads, model?.headDim, header?.fullBytes]
  const names = [model?.id, model?.hash, model?.arithmetic, header?.contextHash]
  if (
    !pruned ||
    ![...counts, ...sizes].every(isCount) ||
    !names.every((name) => typeof name === 'string') ||
    typeof header?.evicted !== 'boolean' ||
    (header.geometry !== undefined && !isCounts(header.geometry)) ||
    !isCounts(header.lengths) ||
    !isCounts(header.windows)
  )
    throw damaged(path)
  return value as Header
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isCounts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => isCount(each) && each < 2 ** 31)
}

export function foreign(path: string): InputError {
  return new InputError(`${path} is not a cache that headzip saved`)
}

export function truncated(path: string, size: number, expected?: number): InputError {
  const of = expected === undefined ? '' : ` of ${expected}`
  return new InputError(`${path} is a truncated cache: it has ${size}${of} bytes`)
}

export function impossible(path: string, claim: string): InputError {
  return new InputError(`${path} is a damaged cache: it claims ${claim}`)
}

export function damaged(path: string, cause?: unknown): InputError {
  const what = 'its content does not match its header or checksum'
  return new InputError(`${path} is a damaged cache: ${what}`, { cause })
}
