/** What imports and exports of foreign formats share. */

import type { Provenance } from '../scores/head-scores.js'

export interface Exported {
  /** paths written */
  files: string[]
  /** what a user should know about these scores in this format, a sentence each */
  warnings: string[]
  /** what the format cannot express, whatever the scores */
  statement: string
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
