/** What imports and exports of foreign formats share. */

import { check, checkOptions, writeFields } from '../check.js'
import { InputError } from '../errors.js'
import { checkScoreFields } from '../scores/check.js'
import type { HeadScores, Provenance } from '../scores/head-scores.js'
import { verifyScores } from '../scores/verify.js'

export interface Exported {
  /** paths written */
  files: string[]
  /** what a user should know about these scores in this format, a sentence each */
  warnings: string[]
  /** what the format cannot express, whatever the scores */
  statement: string
  /** tokens of a streaming head as written, where the format does not take those asked for */
  windows?: { sink: number; recent: number }
}

/** What a foreign file may not tell and its reader may: everything is optional. */
export interface ImportOptions {
  /** name of the model */
  model?: string | undefined
  /** data set that the scores come from, and the sample's index in it */
  data?: string | undefined
  index?: number | undefined
  /** KV heads of the model, for files of query heads: groups of them share a KV head */
  kvHeads?: number | undefined
  /** index in the model of each row of a file that holds the scored layers only */
  layerIds?: Int32Array | undefined
}

/** What every export is handed; whether the scores are sound, and what an option may be, its writer says. */
export function checkExport(scores: unknown, path: unknown, name: string, options: unknown): void {
  checkScoreFields(scores)
  check(path, name, 'path')
  checkOptions(options, {
    ...writeFields,
    ties: 'string?',
    ratio: 'ratio?',
    rule: 'string?',
    dtype: 'string?',
    modelLayers: 'positive?',
    queryHeads: 'positive?',
  })
}

/** Says of imported scores what the file could not. @throws InputError when the layers do not fit the rows */
export function applyImportOptions(scores: HeadScores, options: ImportOptions, where: string): HeadScores {
  const { model, data, index, layerIds } = options
  const { provenance } = scores
  const [first, ...others] = provenance.sources
  const named = { ...first!, ...(data !== undefined && { data }), ...(index !== undefined && { index }) }
  if (others.length > 0 && (data !== undefined || index !== undefined))
    throw new InputError(
      `${where} merges ${others.length + 1} sources; one name for its data would hide them`,
    )
  return verifyScores(
    {
      ...scores,
      ...(layerIds && { layerIds }),
      provenance: { ...provenance, ...(model !== undefined && { model }), sources: [named, ...others] },
    },
    where,
  )
}

/** Provenance of an imported file: what it does not tell stays empty or 0. */
export function foreignProvenance(
  known: Pick<Provenance, 'model' | 'method' | 'arithmetic'> & { data: string; index: number },
): Provenance {
  const { model, method, arithmetic, data, index } = known
  return {
    model,
    modelHash: '',
    sources: [{ data, index, tokens: 0 }],
    method,
    sweep: '',
    chunkSize: 0,
    arithmetic,
    engineVersion: '',
    created: '',
  }
}
