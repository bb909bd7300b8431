import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { shortNameTable } from '../src/hub/tables.js'
import { familyTable } from '../src/model/families/table.js'

const file = fileURLToPath(new URL('../README.md', import.meta.url))

/** UPDATE_README=1 writes the tables anew. */
function between(name: string, table: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const text = readFileSync(file, 'utf8')
  const start = text.indexOf(open) + open.length
  const end = text.indexOf(close)
  if (process.env.UPDATE_README === '1') {
    writeFileSync(file, `${text.slice(0, start)}\n${table}\n${text.slice(end)}`)
    return table
  }
  return text.slice(start, end).trim()
}

describe('the README lists what the code knows:', () => {
  it.each([
    ['families', familyTable()],
    ['short names', shortNameTable()],
  ])('%s', (name, table) => {
    expect(between(name, table)).toBe(table)
  })
})
