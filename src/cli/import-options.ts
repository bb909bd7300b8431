/** What a foreign file may not tell of its scores. */

import type { Options } from 'yargs'
import type { ImportOptions } from '../formats/foreign.js'
import { indicesIn } from './options.js'

export const importOptions = {
  model: { type: 'string', describe: 'Name of the model, when the file does not tell' },
  data: { type: 'string', describe: 'Data set that the scores come from' },
  index: { type: 'number', describe: 'Index of the sample in its data set' },
  'kv-heads': { type: 'number', describe: 'KV heads of the model, for files of query heads' },
  layers: { type: 'string', describe: "Index in the model of each of the file's rows, comma-separated" },
} as const satisfies Record<string, Options>

export function importFrom(args: {
  model: string | undefined
  data: string | undefined
  index: number | undefined
  kvHeads: number | undefined
  layers: string | undefined
}): ImportOptions {
  const { model, data, index, kvHeads, layers } = args
  return {
    model,
    data,
    index,
    kvHeads,
    layerIds: layers === undefined ? undefined : Int32Array.from(indicesIn(layers, '--layers')),
  }
}
