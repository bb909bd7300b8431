/**
 * Scores of retrieval heads: `{"layer-head": [scores]}`, one list a query head with a score a trial. A head's score
 * is the mean of its trials; a KV head's is the maximum of the query heads that share it.
 */

import { InputError, invalidParameter } from '../errors.js'
import type { WriteOptions } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { isCount, largestSide, verifyScores } from '../scores/verify.js'
import { type Exported, foreignProvenance } from './foreign.js'
import { type OwnMetadata, writeWithMetadata } from './own-metadata.js'
import { checkTies, type Ties, tiedValues } from './ties.js'

export interface RetrievalOptions extends WriteOptions {
  /** query heads of the model; default one a KV head */
  queryHeads?: number
  /** default `keep` */
  ties?: Ties
}

export async function exportRetrievalJson(
  scores: HeadScores,
  path: string,
  options: RetrievalOptions = {},
): Promise<Exported> {
  verifyScores(scores, 'scores')
  const { kvHeads, layers } = scores
  const queryHeads = options.queryHeads ?? kvHeads
  if (!isCount(queryHeads, kvHeads, largestSide) || queryHeads % kvHeads !== 0)
    throw invalidParameter('queryHeads', `a multiple of the ${kvHeads} KV heads`, queryHeads)
  const values = tiedValues(scores, checkTies(options.ties ?? 'keep'))
  const entries: [string, number[]][] = []
  for (let row = 0; row < layers; row++)
    for (let head = 0; head < queryHeads; head++) {
      const value = values[row * kvHeads + Math.floor((head * kvHeads) / queryHeads)]!
      entries.push([`${scores.layerIds[row]}-${head}`, [value]])
    }
  const text = `${JSON.stringify(Object.fromEntries(entries))}\n`
  return {
    files: await writeWithMetadata(path, text, scores, options),
    warnings:
      queryHeads === kvHeads
        ? [
            'one entry a KV head: readers of models whose query heads share KV heads need --query-heads to expand them',
          ]
        : [],
    statement:
      'Retrieval-head files know query heads only: heads of one group share one score here, and means are not kept. The ' +
      'model, the method and the data stand in the .headzip.json beside it, which only headzip reads.',
  }
}

/**
 * @param kvHeads of the model; default as noted beside the file, else one a query head
 * @throws InputError: no `layer-head` keys, an empty or non-numeric list, heads that do not divide into groups
 */
export function decodeRetrievalJson(
  found: Record<string, unknown>,
  name: string,
  where: string,
  kvHeads: number | undefined,
  own: OwnMetadata | undefined,
): HeadScores {
  const heads = new Map<number, Map<number, number>>()
  for (const [key, value] of Object.entries(found)) {
    const [, layer, head] = /^(\d{1,5})-(\d{1,5})$/.exec(key) ?? []
    if (layer === undefined || head === undefined)
      throw new InputError(`${where} has the key '${key.slice(0, 40)}' where layer-head is needed`)
    const row = heads.get(Number(layer)) ?? new Map<number, number>()
    row.set(Number(head), trialMean(value, key, where))
    heads.set(Number(layer), row)
  }
  const layerIds = Int32Array.from(heads.keys()).sort()
  const queryHeads = Math.max(...[...heads.values()].map((row) => Math.max(...row.keys()))) + 1
  const columns = kvHeads ?? (own?.kv_heads || queryHeads)
  if (!isCount(columns, 1, queryHeads) || queryHeads % columns !== 0)
    throw new InputError(
      `${where} has ${queryHeads} query heads, which ${columns} KV heads cannot share evenly`,
    )
  const max = new Float32Array(layerIds.length * columns).fill(Number.NEGATIVE_INFINITY)
  for (const [row, layer] of layerIds.entries())
    for (let head = 0; head < queryHeads; head++) {
      const score = heads.get(layer)?.get(head)
      if (score === undefined) throw new InputError(`${where} lacks layer ${layer}, head ${head}`)
      const cell = row * columns + Math.floor((head * columns) / queryHeads)
      max[cell] = Math.max(max[cell]!, score)
    }
  return verifyScores(
    {
      layers: layerIds.length,
      kvHeads: columns,
      layerIds,
      max,
      mean: null,
      p99: null,
      positions: 0,
      pairs: null,
      provenance:
        own?.provenance ??
        foreignProvenance({
          model: name,
          data: 'unknown',
          index: 0,
          method: 'retrieval-heads',
          arithmetic: '',
        }),
    },
    where,
  )
}

function trialMean(value: unknown, key: string, where: string): number {
  const trials: unknown[] = Array.isArray(value) ? value : [value]
  const numbers = trials.filter((each): each is number => typeof each === 'number' && Number.isFinite(each))
  if (numbers.length === 0 || numbers.length !== trials.length)
    throw new InputError(`${where} has no list of numbers for head ${key}`)
  return numbers.reduce((sum, each) => sum + each, 0) / numbers.length
}
