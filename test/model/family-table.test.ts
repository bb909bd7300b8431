import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { families } from '../../src/model/families/index.js'
import { familyPage, familyTable } from '../../src/model/families/table.js'

describe('the table of families', () => {
  it('in docs/families.md is what the code supports', async () => {
    const page = fileURLToPath(new URL('../../docs/families.md', import.meta.url))
    await expect(familyPage()).toMatchFileSnapshot(page)
  })

  it('has a row a family, with every architecture once', () => {
    const table = familyTable()
    expect(table.split('\n')).toHaveLength(2 + families.length)
    const architectures = families.flatMap((family) => family.architectures)
    expect(new Set(architectures).size).toBe(architectures.length)
    expect(architectures.filter((name) => !table.includes(`\`${name}\``))).toEqual([])
  })
})
