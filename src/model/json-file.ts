import { readFileSync } from 'node:fs'
import { InputError } from '../errors.js'

export interface JsonFile {
  fields: Record<string, unknown>
  bytes: Buffer
}

/** A file that holds one JSON object. @throws InputError when it is missing, or holds something else */
export function readJson(file: string): JsonFile {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'does not exist'
        : `cannot be read: ${(error as Error).message}`
    throw new InputError(`${file} ${why}`, { cause: error })
  }
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new InputError(`${file} is not valid JSON: ${(error as Error).message}`, { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${file} must hold a JSON object`)
  }
  return { fields: value as Record<string, unknown>, bytes }
}
