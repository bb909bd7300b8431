/** Bytes and numbers of a GGUF file past its header. */

import { closeSync, openSync, readSync } from 'node:fs'
import { InputError } from '../../errors.js'
import type { GgufHeader } from './header.js'

export function readAt(file: string, offset: number, length: number): Buffer {
  const handle = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(length)
    if (readSync(handle, bytes, 0, length, offset) < length)
      throw new InputError(`${file} ended while it was read`)
    return bytes
  } finally {
    closeSync(handle)
  }
}

/** A tensor of `length` numbers, undefined where there is none. @throws InputError for another shape or type */
export function readVector({ tensors }: GgufHeader, name: string, length: number): number[] | undefined {
  const tensor = tensors.get(name)
  if (!tensor) return undefined
  const { file, type, shape, offset, bytes } = tensor
  if (type.name !== 'F32' || shape.length !== 1 || shape[0] !== length)
    throw new InputError(`${file}: ${name} must hold ${length} values in F32`)
  const buffer = readAt(file, offset, bytes)
  return Array.from({ length }, (_, i) => buffer.readFloatLE(4 * i))
}
