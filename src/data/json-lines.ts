import { InputError } from '../errors.js'
import type { Row } from './rows.js'
import { readText } from './text-file.js'

/** One JSON object a line; blank lines are passed over. @throws InputError naming the line that is not one */
export async function readJsonLines(file: string): Promise<Row[]> {
  const text = await readText(file, file, { remedy: 'iconv -t UTF-8 converts it' })
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
