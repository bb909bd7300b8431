import type { EngineSpec } from '../../engine/spec.js'
import type { ChatFormatName } from '../chat-formats.js'
import type { Config } from '../config.js'

/** One weight that the engine needs and where the family's checkpoints keep it. */
export interface WeightName {
  /** See `WeightRef.role`. */
  role: string
  /** Name in the safetensors file. */
  name: string
  /** Outermost first; a linear layer is [out, in]. */
  shape: number[]
}

/** What sets one model family apart. Adding a family is writing one of these and listing it in index.ts. */
export interface Family {
  /** Values of `architectures[0]` in config.json. */
  readonly architectures: readonly string[]
  /** Preferred when the tokenizer knows several chat formats, or none. */
  readonly chat: ChatFormatName
  /** @throws InputError naming the field that is missing or wrong */
  spec(config: Config): EngineSpec
  weights(config: Config, spec: EngineSpec): WeightName[]
}
