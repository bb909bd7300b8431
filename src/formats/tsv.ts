/**
 * A lone table of numbers, a row a layer, a column a KV head, tabs: PruLong's masks, and RLKV's adapter_weights.tsv,
 * which its evaluators look for in a folder.
 */

import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { WriteOptions } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { verifyScores } from '../scores/verify.js'
import { type Exported, foreignProvenance } from './foreign.js'
import { parseMatrix, printMatrix, readSmallText } from './matrix-text.js'
import { readMetadataFile, writeWithMetadata } from './own-metadata.js'
import { checkTies, type Ties } from './ties.js'

export interface TsvOptions extends WriteOptions {
  /** default `separate`: readers decide values closer than 1e-6 by noise */
  ties?: Ties
  modelLayers?: number
}

/** RLKV's name for the file in its folder. */
export const adapterName = 'adapter_weights.tsv'

/** @param path a file ending in .tsv, or RLKV's folder */
export async function exportTsv(
  scores: HeadScores,
  path: string,
  options: TsvOptions = {},
): Promise<Exported> {
  verifyScores(scores, 'scores')
  const { text, warnings } = printMatrix(scores, checkTies(options.ties ?? 'separate'), options.modelLayers)
  const file = path.endsWith('.tsv') ? path : join(path, adapterName)
  return {
    files: await writeWithMetadata(file, text, scores, options),
    warnings,
    statement:
      'A bare table holds values only, not how many sink and recent tokens a streaming head keeps; RLKV and PruLong take ' +
      'those from their command lines, and a sparsity that becomes a threshold. The model, the method and the data stand ' +
      'in the .headzip.json beside it, which only headzip reads.',
  }
}

/** @param path a table, or RLKV's folder of one. @throws InputError: empty, ragged, not numbers */
export async function importTsv(path: string): Promise<HeadScores> {
  const isFolder = (await stat(path).catch(() => null))?.isDirectory() ?? false
  const file = isFolder ? join(path, adapterName) : path
  const text = await readSmallText(file, '')
  const rows = parseMatrix(text, file)
  const own = await readMetadataFile(file, text, rows.length)
  const layerIds = Int32Array.from(own?.layer_ids ?? rows.keys())
  const method = methodOf(basename(file))
  return verifyScores(
    {
      layers: layerIds.length,
      kvHeads: rows[0]!.length,
      layerIds,
      max: Float32Array.from(Array.from(layerIds).flatMap((layer) => rows[layer]!)),
      mean: null,
      p99: null,
      positions: 0,
      pairs: null,
      provenance:
        own?.provenance ??
        foreignProvenance({
          model: method === 'rlkv' ? basename(dirname(resolve(file))) : basename(file).replace(/\.tsv$/i, ''),
          data: 'unknown',
          index: 0,
          method,
          arithmetic: '',
        }),
    },
    file,
  )
}

/** By the names that their authors give; the content of all of them is the same. */
function methodOf(name: string): string {
  if (name === adapterName) return 'rlkv'
  return /mask/i.test(name) ? 'prulong' : 'tsv'
}
