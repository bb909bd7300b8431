/** Every format that scores come and go in: how it is told, read and written. One module each beside this one. */

import { join } from 'node:path'
import { checkOneOf } from '../check.js'
import type { WriteOptions } from '../files/write.js'
import { readScores, writeScores } from '../scores/arrow.js'
import type { HeadScores } from '../scores/head-scores.js'
import type { SelectionRule } from '../scores/select.js'
import { exportCsv, importCsv } from './csv.js'
import { exportDuo, importDuo } from './duo.js'
import { checkExport, type Exported, type ImportOptions } from './foreign.js'
import { exportJson, importJson } from './json.js'
import { exportKvpress, importKvpress } from './kvpress.js'
import { exportKvzip, importKvzip, kvzipFileName } from './kvzip-pt.js'
import { exportLserve } from './lserve.js'
import { exportRetrievalJson } from './retrieval-json.js'
import { exportSglang } from './sglang.js'
import { checkTies, type Ties, tiedValues } from './ties.js'
import type { TorchType } from './torch-tensor.js'
import { exportTsv, importTsv } from './tsv.js'

/** Options of all formats; each takes those it knows. */
export interface ExportOptions extends WriteOptions {
  ties?: Ties
  /** streaming windows in tokens */
  sink?: number
  recent?: number
  /** for formats that hold a threshold */
  ratio?: number
  rule?: SelectionRule
  /** of a .pt */
  dtype?: TorchType
  modelLayers?: number
  /** query heads of the model, for formats that list those */
  queryHeads?: number
}

interface Format {
  about: string
  /** what `path` names: a folder that the format lays out, or one file */
  makes: 'file' | 'folder'
  /** ending that stands for the format when none is named */
  ending?: string
  /** absent where another format's reader takes it */
  read?: (path: string, options: ImportOptions) => Promise<HeadScores>
  write: (scores: HeadScores, path: string, options: ExportOptions) => Promise<Exported>
}

export const formats = {
  arrow: { about: "headzip's own", makes: 'file', ending: '.arrow', read: readScores, write: exportArrow },
  kvzip: {
    about: "KVzip's tensor",
    makes: 'file',
    ending: '.pt',
    read: importKvzip,
    // KVzip finds its files by name, so that a folder is all one needs to say.
    write: (scores, path, options) =>
      exportKvzip(scores, path.endsWith('.pt') ? path : join(path, kvzipFileName(scores)), options),
  },
  duo: { about: "DuoAttention's folder", makes: 'folder', read: importDuo, write: exportDuo },
  kvpress: {
    about: "kvpress's copy of DuoAttention's patterns",
    makes: 'folder',
    read: importKvpress,
    write: exportKvpress,
  },
  lserve: { about: 'the folder with windows in whole pages', makes: 'folder', write: exportLserve },
  sglang: { about: 'the folder with HeadKV-SGLang keys', makes: 'folder', write: exportSglang },
  tsv: {
    about: 'a bare table: PruLong, RLKV',
    makes: 'file',
    ending: '.tsv',
    read: importTsv,
    write: exportTsv,
  },
  json: {
    about: 'everything but pairs',
    makes: 'file',
    ending: '.json',
    read: importJson,
    write: exportJson,
  },
  retrieval: { about: 'retrieval heads', makes: 'file', write: exportRetrievalJson },
  csv: { about: 'a row a head', makes: 'file', ending: '.csv', read: importCsv, write: exportCsv },
} as const satisfies Record<string, Format>

export type FormatName = keyof typeof formats
export const formatNames = Object.keys(formats) as FormatName[]

/** @throws InputError when a file exists and force is not set, or the scores cannot be said in the format */
export async function exportScores(
  scores: HeadScores,
  to: FormatName,
  path: string,
  options: ExportOptions = {},
): Promise<Exported> {
  checkOneOf(to, 'to', formatNames)
  checkExport(scores, path, 'path', options)
  const format: Format = formats[to]
  return await format.write(scores, path, options)
}

/** The format that a path's ending stands for; null for a folder's name or an unknown ending. */
export function formatOfPath(path: string): FormatName | null {
  return (
    formatNames.find((name) => {
      const { ending }: Format = formats[name]
      return ending !== undefined && path.toLowerCase().endsWith(ending)
    }) ?? null
  )
}

async function exportArrow(scores: HeadScores, path: string, options: ExportOptions = {}): Promise<Exported> {
  const ties = checkTies(options.ties ?? 'keep')
  await writeScores(path, ties === 'keep' ? scores : { ...scores, max: tiedValues(scores, ties) }, options)
  return { files: [path], warnings: [], statement: 'A score file of headzip holds all there is to say.' }
}
