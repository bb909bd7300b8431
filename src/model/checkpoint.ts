/** The tensors of a model folder: one model.safetensors, or shards listed by an index. */

import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { InputError } from '../errors.js'
import { readJson } from './json-file.js'
import { readSafetensorsHeader, type StoredTensor } from './safetensors.js'

export interface Checkpoint {
  /** By the tensor's name in the files. */
  tensors: Map<string, StoredTensor>
  /** Bytes of the index, or of the only file's header: what tells one checkpoint's layout from another's. */
  layout: Buffer
}

const singleFile = 'model.safetensors'
const indexFile = 'model.safetensors.index.json'

/** @throws InputError naming the folder or file, and the tensor where there is one */
export function readCheckpoint(folder: string): Checkpoint {
  const single = join(folder, singleFile)
  if (existsSync(single)) {
    const { tensors, json } = readSafetensorsHeader(single)
    return { tensors, layout: json }
  }
  if (existsSync(join(folder, indexFile))) return readShards(folder)
  throw new InputError(`${folder} holds no weights: neither ${singleFile} nor ${indexFile} is there`)
}

function readShards(folder: string): Checkpoint {
  const file = join(folder, indexFile)
  const { fields, bytes } = readJson(file)
  const map = fields.weight_map
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new InputError(`${file} has no weight_map`)
  const shards = new Map<string, Map<string, StoredTensor>>()
  const tensors = new Map<string, StoredTensor>()
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || shard !== basename(shard) || shard === '..') {
      throw new InputError(`${file} puts the tensor ${name} into something that is not a file of this folder`)
    }
    const path = join(folder, shard)
    if (!shards.has(shard)) {
      if (!existsSync(path))
        throw new InputError(`${file} puts the tensor ${name} into ${shard}, which is missing`)
      shards.set(shard, readSafetensorsHeader(path).tensors)
    }
    const tensor = shards.get(shard)?.get(name)
    if (!tensor) throw new InputError(`${file} puts the tensor ${name} into ${shard}, which does not hold it`)
    tensors.set(name, tensor)
  }
  return { tensors, layout: bytes }
}
