import { describe, expect, it } from 'vitest'
import { shortNameTable } from '../../src/hub/tables.js'
import { families } from '../../src/model/families/index.js'
import { familyTable, ggufTable, ropeList } from '../../src/model/families/table.js'
import { expectMarked } from './marked.js'

describe('docs/models.md lists what the code reads:', () => {
  it.each([
    ['families', familyTable()],
    ['ropes', ropeList()],
    ['gguf', ggufTable()],
    ['short names', shortNameTable()],
  ])('%s', (name, content) => {
    expectMarked('docs/models.md', name, content)
  })
})

describe('the table of families', () => {
  it('has a row a family, with every architecture once', () => {
    const table = familyTable()
    expect(table.split('\n')).toHaveLength(2 + families.length)
    const architectures = families.flatMap((family) => family.architectures)
    expect(new Set(architectures).size).toBe(architectures.length)
    expect(architectures.filter((name) => !table.includes(`\`${name}\``))).toEqual([])
  })
})
