import { InputError } from '../../errors.js'
import type { Config } from '../config.js'
import type { Family } from './family.js'
import { llama } from './llama.js'

export const families: readonly Family[] = [llama]

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
