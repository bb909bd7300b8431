import { readFile } from 'node:fs/promises'
import { InputError } from '../errors.js'
import type { Row } from './rows.js'

/** One JSON object a line; blank lines are passed over. @throws InputError naming the line that is not one */
export async function readJsonLines(file: string): Promise<Row[]> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new InputError(`${file} cannot be read: ${error.message}`, { cause: error })
  })
  const lines = text.split('\n')
  return lines.flatMap((line, i) => (line.trim() === '' ? [] : [parseLine(line, `${file}, line ${i + 1}`)]))
}

function parseLine(line: string, where: string): Row {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new InputError(`${where} is not valid JSON: ${(error as Error).message}`, { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${where} is not a JSON object`)
  }
  return value as Row
}
