import type { EngineSpec } from '../../engine/spec.js'
import type { ChatFormatName } from '../chat-formats.js'
import type { Config } from '../config.js'
import type { LongContext } from '../rope.js'

/** One weight that the engine needs and where the family's checkpoints keep it. */
export interface WeightName {
  /** See `WeightRef.role`. */
  role: string
  /** Name of the tensor in the files. */
  name: string
  /** Of the tensor, outermost first; a linear layer is [out, in]. */
  shape: number[]
  /** The weight is these rows of the tensor: [first, how many]. */
  rows?: [number, number]
}

export interface ModelPlan {
  spec: EngineSpec
  /** What is different for long contexts, if anything is. */
  longContext?: LongContext | undefined
}

/** What sets one model family apart. Adding a family is writing one of these and listing it in index.ts. */
export interface Family {
  /** Title in tables. */
  readonly name: string
  /** Models that use it, for tables. */
  readonly models: string
  /** What is special about it, for tables. */
  readonly traits: string
  /** Values of `architectures[0]` in config.json. */
  readonly architectures: readonly string[]
  /** KVzip's format, preferred when the tokenizer knows it; undefined: the tokenizer's own chat template. */
  readonly chat: ChatFormatName | undefined
  /** @throws InputError naming the field that is missing or wrong */
  plan(config: Config): ModelPlan
  /** @param holds tells whether the checkpoint has a tensor of that name, where names come in several spellings */
  weights(config: Config, spec: EngineSpec, holds: (tensor: string) => boolean): WeightName[]
}
