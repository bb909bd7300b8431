import { InputError } from '../../errors.js'
import type { Config } from '../config.js'
import type { Family } from './family.js'
import { gemma3 } from './gemma3.js'
import { llama } from './llama.js'
import { mistral } from './mistral.js'
import { mixtral } from './mixtral.js'
import { phi3 } from './phi3.js'
import { qwen2 } from './qwen2.js'
import { qwen2Moe } from './qwen2-moe.js'
import { qwen3 } from './qwen3.js'
import { qwen3Moe } from './qwen3-moe.js'

export const families: readonly Family[] = [
  llama,
  mistral,
  mixtral,
  qwen2,
  qwen2Moe,
  qwen3,
  qwen3Moe,
  gemma3,
  phi3,
]

/** The family that config.json's `architectures[0]` names. @throws InputError listing the ones we know */
export function familyOf(config: Config): Family {
  const { architectures } = config.fields
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined
  if (typeof name !== 'string') throw config.mustBe('architectures', 'a list that names the model class')
  const family = families.find((known) => known.architectures.includes(name))
  if (family) return family
  const known = families.flatMap((each) => each.architectures).join(', ')
  throw new InputError(
    `${config.file}: the architecture ${name.slice(0, 80)} is not supported; supported: ${known}`,
  )
}
