/** From a folder, or the name of the embedded model, to everything the engine has to know of it. */

import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { EngineSpec, StoredType, WeightRef } from '../engine/spec.js'
import { InputError } from '../errors.js'
import { type Checkpoint, readCheckpoint } from './checkpoint.js'
import { Config, readConfig } from './config.js'
import { embeddedFolder, embeddedModels } from './embedded.js'
import type { Family, WeightName } from './families/family.js'
import { familyOf } from './families/index.js'
import { readJson } from './json-file.js'

export interface ModelDescription {
  /** Name for files and messages: `nano`, or the folder's name. */
  id: string
  folder: string
  /** sha256, hex, of config.json, of the weights' index (or the only file's header), and of a little of each weight. */
  hash: string
  family: Family
  config: Config
  spec: EngineSpec
  weights: WeightRef[]
  /** Ids that end an answer. */
  eosIds: number[]
}

const storedTypes: readonly string[] = ['F32', 'F16', 'BF16'] satisfies StoredType[]

/**
 * @param name the model's name where the path does not tell it, as in the Hugging Face cache
 * @throws InputError with one sentence on what is missing or wrong, and where
 */
export function describeModel(pathOrName: string, name?: string): ModelDescription {
  const { folder, id } = findModel(pathOrName)
  const { config, bytes } = readConfig(folder)
  const family = familyOf(config)
  const spec = family.spec(config)
  const checkpoint = readCheckpoint(folder)
  const weights = family.weights(config, spec).map((weight) => findWeight(weight, checkpoint, folder))
  const hash = createHash('sha256').update(bytes).update(checkpoint.layout)
  for (const sample of sampleWeights(weights)) hash.update(sample)
  return {
    id: name ?? id,
    folder,
    hash: hash.digest('hex'),
    family,
    config,
    spec,
    weights,
    eosIds: readEosIds(folder, config),
  }
}

/** The folder of a model; the package's own for the name of an embedded one. */
export function findModel(pathOrName: string): { folder: string; id: string } {
  if (embeddedModels.includes(pathOrName)) return { folder: embeddedFolder(pathOrName), id: pathOrName }
  if (!existsSync(pathOrName) || !statSync(pathOrName).isDirectory()) {
    throw new InputError(
      `${pathOrName} is not a model: give a folder with a config.json, or ${embeddedModels.join(', ')}`,
    )
  }
  return { folder: pathOrName, id: basename(resolve(pathOrName)) }
}

function findWeight({ role, name, shape }: WeightName, { tensors }: Checkpoint, folder: string): WeightRef {
  const tensor = tensors.get(name)
  if (!tensor) throw new InputError(`${folder} holds no tensor ${name}, which its config.json calls for`)
  const { file, dtype, offset, bytes } = tensor
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    throw new InputError(
      `${file}: tensor ${name} has shape [${tensor.shape.join(', ')}], config.json makes it [${shape.join(', ')}]`,
    )
  }
  if (!isStoredType(dtype)) {
    throw new InputError(
      `${file}: tensor ${name} is stored as ${dtype}; supported: ${storedTypes.join(', ')}`,
    )
  }
  return { role, name, file, dtype, shape, offset, bytes }
}

function isStoredType(dtype: string): dtype is StoredType {
  return storedTypes.includes(dtype)
}

/**
 * 64 bytes from the middle of every weight: a model trained anew has the same layout and other numbers, and reading
 * all of them would take minutes.
 */
function sampleWeights(weights: WeightRef[]): Buffer[] {
  const open = new Map<string, number>()
  try {
    return weights.map(({ file, offset, bytes }) => {
      const handle = open.get(file) ?? openSync(file, 'r')
      open.set(file, handle)
      const sample = Buffer.alloc(Math.min(64, bytes))
      readSync(handle, sample, 0, sample.length, offset + Math.floor((bytes - sample.length) / 2))
      return sample
    })
  } finally {
    for (const handle of open.values()) closeSync(handle)
  }
}

/** Chat models often name their end-of-turn token in generation_config.json only. */
function readEosIds(folder: string, config: Config): number[] {
  const file = join(folder, 'generation_config.json')
  const generation = existsSync(file) ? new Config(file, readJson(file).fields).tokenIds('eos_token_id') : []
  return [...new Set([...generation, ...config.tokenIds('eos_token_id')])]
}
