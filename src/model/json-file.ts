import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { InputError, printable } from '../errors.js'

export interface JsonFile {
  fields: Record<string, unknown>
  bytes: Buffer
}

/** No file that is read with this is larger: tokenizer.json of 256K tokens has 33 MB. */
const maxBytes = 128 * 2 ** 20

/**
 * A file that holds one JSON object.
 * @param most bytes that it may have
 * @throws InputError when it is missing or larger, or holds something else
 */
export function readJson(file: string, most = maxBytes): JsonFile {
  const bytes = readBytes(file, most)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new InputError(`${file} is not valid JSON: ${printable((error as Error).message, 200)}`, {
      cause: error,
    })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${file} must hold a JSON object`)
  }
  return { fields: value as Record<string, unknown>, bytes }
}

/** @throws InputError when it is missing or larger, or no regular file */
export function readBytes(file: string, most = maxBytes): Buffer {
  let handle: number | undefined
  try {
    // Without O_NONBLOCK a named pipe would hold us here until somebody writes into it.
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const info = fstatSync(handle)
    if (!info.isFile()) throw new InputError(`${file} is not a regular file`)
    if (info.size > most)
      throw new InputError(`${file} has ${info.size} bytes, more than the ${most} that are allowed`)
    return readFileSync(handle)
  } catch (error) {
    if (error instanceof InputError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`
    throw new InputError(`${file} ${why}`, { cause: error })
  } finally {
    if (handle !== undefined) closeSync(handle)
  }
}
