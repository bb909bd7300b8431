/** Rows in any order -> HeadScores: every (layer, kv_head) exactly once. Shared by formats that store rows. */

import { InputError } from '../errors.js'
import type { HeadScores, Provenance } from './head-scores.js'
import { isCount, largestSide, verifyScores } from './verify.js'

export interface ScoreRow {
  /** index of the layer in the model */
  layer: number
  kvHead: number
  max: number
  mean: number | null
  p99: number | null
  /** (positions) */
  pairs: Float32Array | null
}

/** @throws InputError: no rows, a cell twice or missing, a column filled for some rows only, unsound values */
export function fromRows(
  rows: ScoreRow[],
  positions: number,
  provenance: Provenance,
  where: string,
): HeadScores {
  if (rows.length === 0) throw new InputError(`${where} holds no scores`)
  for (const { layer, kvHead } of rows)
    if (!isCount(layer, 0, largestSide) || !isCount(kvHead, 0, largestSide))
      throw new InputError(`${where} has a row for layer ${layer}, KV head ${kvHead}, which no model has`)
  const layerIds = Int32Array.from(new Set(rows.map((row) => row.layer))).sort()
  const kvHeads = rows.reduce((most, row) => Math.max(most, row.kvHead), 0) + 1
  const rowOfLayer = new Map(Array.from(layerIds, (id, row) => [id, row]))

  // Sizes come from what is claimed, memory only from what is there.
  if (layerIds.length * kvHeads > rows.length) throw missingCell(rows, layerIds, kvHeads, where)
  const cells: (ScoreRow | undefined)[] = new Array<undefined>(layerIds.length * kvHeads)
  for (const row of rows) {
    const cell = rowOfLayer.get(row.layer)! * kvHeads + row.kvHead
    if (cells[cell]) throw new InputError(`${where} has layer ${row.layer}, KV head ${row.kvHead} twice`)
    cells[cell] = row
  }
  const ordered = cells.filter((row) => row !== undefined)
  return verifyScores(
    {
      layers: layerIds.length,
      kvHeads,
      layerIds,
      max: Float32Array.from(ordered, (row) => row.max),
      mean: optionalColumn(ordered, 'mean', where),
      p99: optionalColumn(ordered, 'p99', where),
      positions,
      pairs: pairColumn(ordered, positions, where),
      provenance,
    },
    where,
  )
}

function missingCell(rows: ScoreRow[], layerIds: Int32Array, kvHeads: number, where: string): InputError {
  const seen = new Set(rows.map((row) => row.layer * (largestSide + 1) + row.kvHead))
  for (const layer of layerIds)
    for (let head = 0; head < kvHeads; head++)
      if (!seen.has(layer * (largestSide + 1) + head))
        return new InputError(`${where} lacks layer ${layer}, KV head ${head}`)
  return new InputError(`${where} has a cell twice`)
}

function optionalColumn(rows: ScoreRow[], name: 'mean' | 'p99', where: string): Float32Array | null {
  const filled = rows.filter((row) => row[name] !== null).length
  if (filled === 0) return null
  if (filled < rows.length)
    throw new InputError(`${where} has ${name} for ${filled} of its ${rows.length} heads only`)
  return Float32Array.from(rows, (row) => row[name]!)
}

function pairColumn(rows: ScoreRow[], positions: number, where: string): Float32Array | null {
  if (rows.some((row) => row.pairs === null)) return null
  const odd = rows.find((row) => row.pairs!.length !== positions)
  if (odd)
    throw new InputError(
      `${where} has ${odd.pairs!.length} pair scores for layer ${odd.layer}, KV head ${odd.kvHead}, ` +
        `its metadata say ${positions} positions`,
    )
  const pairs = new Float32Array(rows.length * positions)
  for (const [i, row] of rows.entries()) pairs.set(row.pairs!, i * positions)
  return pairs
}
