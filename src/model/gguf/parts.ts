/** Models that are split over several GGUF files, which llama.cpp does with what is larger than 50 GB. */

import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { InputError } from '../../errors.js'
import { type GgufHeader, mostTensors, readGgufHeader } from './header.js'

/** As five digits can number. */
const mostParts = 99999

/** `model-00001-of-00003.gguf` */
const partName = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i

/** The names of all parts in their order, by that of one; just that one where it names no part. */
export function partNames(name: string): string[] {
  const [, stem, , count, ending] = partName.exec(name) ?? []
  if (count === undefined || Number(count) === 0) return [name]
  return Array.from({ length: Number(count) }, (_, i) => `${stem}-${digits(i + 1)}-of-${count}${ending}`)
}

/** Whether the name is that of the second part of a model, or a later one. */
export function isLaterPart(name: string): boolean {
  const number = partName.exec(name)?.[2]
  return number !== undefined && Number(number) > 1
}

/** What the model is called: the file's name without its number. */
export function stemOf(name: string): string {
  return partName.exec(name)?.[1] ?? name.replace(/\.gguf$/i, '')
}

/**
 * The header of a model, and those of its other parts, if it is split. Metadata stand in the first.
 * @throws InputError naming the part that is missing or not the one it should be
 */
export function readGgufParts(file: string): GgufHeader[] {
  const first = readGgufHeader(file)
  const { metadata } = first
  // Some converters write a count of 0 or 1 into a file of its own.
  const count = metadata.number('split.count', 1)
  if (count <= 1) return [first]
  if (!Number.isInteger(count) || count > mostParts)
    throw metadata.mustBe('split.count', `at most ${mostParts}`)
  const names = partNames(basename(file))
  if (names.length !== count) {
    const named = `${stemOf(basename(file))}-00001-of-${digits(count)}.gguf`
    throw new InputError(`${file} is one part of ${count}, so that its name must be like ${named}`)
  }
  const at = (name: string): string => join(dirname(file), name)
  if (metadata.number('split.no', 0) !== 0 || basename(file) !== names[0])
    throw new InputError(`${file} is not the first part of its model; give ${at(names[0]!)}`)
  const parts = [first]
  let tensors = first.tensors.size
  for (const [number, name] of names.entries()) {
    if (number === 0) continue
    if (!existsSync(at(name)))
      throw new InputError(`${file} is one part of ${count}, of which ${at(name)} is missing`)
    const part = readGgufHeader(at(name))
    if (part.metadata.number('split.no', -1) !== number)
      throw part.metadata.mustBe('split.no', `${number} in this file`)
    if (part.metadata.number('split.count', 1) !== count)
      throw part.metadata.mustBe('split.count', `${count}, as in the first part`)
    tensors += part.tensors.size
    if (tensors > mostTensors)
      throw new InputError(
        `${file} and its other parts hold more than the ${mostTensors} tensors that are possible`,
      )
    parts.push(part)
  }
  if (metadata.number('split.tensors.count', tensors) !== tensors)
    throw metadata.mustBe('split.tensors.count', `the ${tensors} tensors that the parts hold`)
  return parts
}

/** @throws InputError where two of the parts hold a tensor of one name */
export function mergeParts(parts: GgufHeader[]): GgufHeader {
  const [first, ...others] = parts as [GgufHeader, ...GgufHeader[]]
  if (others.length === 0) return first
  const tensors = new Map(first.tensors)
  for (const part of others)
    for (const [name, tensor] of part.tensors) {
      const before = tensors.get(name)
      if (before)
        throw new InputError(
          `${part.file} holds the tensor ${name.slice(0, 80)}, which ${before.file} holds too`,
        )
      tensors.set(name, tensor)
    }
  return { ...first, tensors }
}

function digits(number: number): string {
  return String(number).padStart(5, '0')
}
