/** From a folder, or the name of the embedded model, to everything the engine has to know of it. */

import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { check } from '../check.js'
import type { EngineSpec, ModelSpec, Rope, StoredType, WeightRef } from '../engine/spec.js'
import { InputError } from '../errors.js'
import { type Checkpoint, readCheckpoint } from './checkpoint.js'
import { Config, readConfig } from './config.js'
import { embeddedFolder, embeddedModels } from './embedded.js'
import type { Family, WeightName } from './families/family.js'
import { familyOf } from './families/index.js'
import { findScales } from './fp8.js'
import { describeGguf } from './gguf/describe.js'
import { readJson } from './json-file.js'
import { type Quantization, readQuantization } from './quantization.js'
import { type LongContext, reachOf } from './rope.js'
import type { TokenizerLimits } from './tokenizer/limits.js'
import { Tokenizer } from './tokenizer.js'
import { locateWeight, sampleWeights } from './weight-refs.js'

export interface ModelDescription {
  /** Name for files and messages: `nano`, or the folder's name. */
  id: string
  folder: string
  /** sha256, hex, of config.json, of the weights' index (or the only file's header), and of a little of each weight. */
  hash: string
  family: Family
  config: Config
  spec: ModelSpec
  /** Positions that the model can serve in all, a context's repetition, question and answer included. */
  reach: number
  /** What is different for contexts past some length. */
  longContext: LongContext | undefined
  weights: WeightRef[]
  /** Ids that end an answer. */
  eosIds: number[]
  /** Reads nothing yet. @throws RangeError or InputError for a limit that is no positive number */
  openTokenizer(limits?: TokenizerLimits): Tokenizer
}

/** With what an engine is opened with: positions here are those of the model's own ropes, which may reach less far. */
export interface EngineDescription extends ModelDescription {
  spec: EngineSpec
}

/** Of safetensors files. */
const storedTypes: readonly string[] = ['F32', 'F16', 'BF16', 'F8_E4M3'] satisfies StoredType[]

/**
 * @param name the model's name where the path does not tell it, as in the Hugging Face cache
 * @throws InputError with one sentence on what is missing or wrong, and where
 */
export function describeModel(pathOrName: string, name?: string): EngineDescription {
  check(pathOrName, 'pathOrName', 'path')
  check(name, 'name', 'text?')
  if (isGguf(pathOrName)) return describeGguf(pathOrName)
  const { folder, id } = findModel(pathOrName)
  const { config, bytes } = readConfig(folder)
  const family = familyOf(config)
  const { spec, longContext } = family.plan(config)
  const quantization = readQuantization(config)
  const checkpoint = readCheckpoint(folder)
  const weights = family
    .weights(config, spec, (tensor) => checkpoint.tensors.has(tensor))
    .map((weight) => findWeight(weight, checkpoint, folder, quantization))
  const hash = createHash('sha256').update(bytes).update(checkpoint.layout)
  for (const sample of sampleWeights(weights)) hash.update(sample)
  return {
    id: name ?? id,
    folder,
    hash: hash.digest('hex'),
    family,
    config,
    spec,
    reach: reachOf(spec.maxPositions, longContext),
    longContext,
    weights,
    eosIds: readEosIds(folder, config),
    openTokenizer: (limits) => new Tokenizer({ folder }, limits),
  }
}

function isGguf(path: string): boolean {
  return /\.gguf$/i.test(path) && existsSync(path) && statSync(path).isFile()
}

/** The folder of a model; the package's own for the name of an embedded one. */
export function findModel(pathOrName: string): { folder: string; id: string } {
  if (embeddedModels.includes(pathOrName)) return { folder: embeddedFolder(pathOrName), id: pathOrName }
  if (!existsSync(pathOrName) || !statSync(pathOrName).isDirectory()) {
    throw new InputError(
      `${pathOrName} is not a model: give a folder with a config.json, a .gguf file, or ${embeddedModels.join(', ')}`,
    )
  }
  return { folder: pathOrName, id: basename(resolve(pathOrName)) }
}

/** Ropes for a context of some length. */
export interface RopeChoice {
  /** null: the model's own. */
  ropes: Rope[] | null
  maxPositions: number
  /** What was changed; empty when nothing was. */
  note: string
}

/** @param positions that the context needs, its repetition included */
export function ropesFor(description: EngineDescription, positions: number): RopeChoice {
  const { spec, longContext } = description
  const ropes = longRopes(description, positions)
  if (!longContext || !ropes) return { ropes: null, maxPositions: spec.maxPositions, note: '' }
  return { ropes, maxPositions: longContext.maxPositions, note: longContext.note }
}

/** Ropes in place of the spec's; null where the context needs none. @param positions as in `ropesFor` */
export function longRopes({ longContext }: ModelDescription, positions: number): Rope[] | null {
  if (!longContext || positions <= longContext.above) return null
  // Past the end the engine refuses with the figures.
  return longContext.ropes(Math.min(positions, longContext.maxPositions))
}

function findWeight(
  weight: WeightName,
  { tensors }: Checkpoint,
  folder: string,
  quantization: Quantization,
): WeightRef {
  const { name, shape } = weight
  const tensor = tensors.get(name)
  if (!tensor) throw new InputError(`${folder} holds no tensor ${name}, which its config.json calls for`)
  const { file, dtype } = tensor
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
  if (dtype !== 'F8_E4M3') return locateWeight(weight, { ...tensor, dtype })
  if (shape.length === 1) throw new InputError(`${file}: tensor ${name} is a vector stored as ${dtype}`)
  const scales = findScales(tensor, tensors, quantization)
  const row = weight.rows?.[0] ?? 0
  return { ...locateWeight(weight, { ...tensor, dtype }), scales: { ...scales, row } }
}

function isStoredType(dtype: string): dtype is StoredType {
  return storedTypes.includes(dtype)
}

/** Chat models often name their end-of-turn token in generation_config.json only. */
function readEosIds(folder: string, config: Config): number[] {
  const file = join(folder, 'generation_config.json')
  const generation = existsSync(file) ? new Config(file, readJson(file).fields).tokenIds('eos_token_id') : []
  return [...new Set([...generation, ...config.tokenIds('eos_token_id')])]
}
