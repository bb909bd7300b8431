import { describe, expect, it } from 'vitest'
import { findCycles, importsOf, readImports } from './imports.js'

/**
 * The folders and files of src/, each on the floors it may stand on: imports go to what is earlier in this list, or
 * stay within a folder. Imports of types alone are held to it, too.
 */
const floors = [
  'escape.ts',
  'errors.ts',
  'did-you-mean.ts',
  'check.ts',
  'format-bytes.ts',
  'shard.ts',
  'engine',
  'files',
  'model',
  'hub',
  'scores',
  'data',
  'formats',
  'inference',
  'scoring',
  'report',
  'eval',
  'verify',
  'bench',
  'serve',
  'cli',
  'index.ts',
]

const imports = readImports('src')
const floorOf = (file: string): string => file.split('/')[0]!

describe('imports in src/', () => {
  it('are read: those that run, those of types, and those made later', () => {
    const text = `
      import { a, type B } from '../engine/a.js'
      import type { C } from './c.js'
      import { type D } from '../d.js'
      import fs from 'node:fs'
      export * from './e.js'
      export const f = async () => import('./f.js')
      export const all = [a, fs] as unknown as [B, C, D]`
    const { runTime, all } = importsOf('scores/z.ts', text)
    // TypeScript leaves `import {} from '../d.js'` of D, which runs d.js.
    expect(runTime.sort()).toEqual(['d.ts', 'engine/a.ts', 'scores/e.ts', 'scores/f.ts'])
    expect(all.sort()).toEqual(['d.ts', 'engine/a.ts', 'scores/c.ts', 'scores/e.ts', 'scores/f.ts'])
  })

  it('lead to files that are there', () => {
    const missing = [...imports].flatMap(([file, { all }]) =>
      all.filter((to) => !imports.has(to)).map((to) => `${file} > ${to}`),
    )
    expect(imports.size).toBeGreaterThan(200)
    expect(missing).toEqual([])
  })

  it('make no cycle at run time', () => {
    const cycle = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['c', []],
      ['d', ['a']],
    ])
    expect(findCycles(cycle)).toEqual(['a > b > d > a'])
    expect(findCycles(new Map([...imports].map(([file, { runTime }]) => [file, runTime])))).toEqual([])
  })

  it('never run back up the floors, not even for a type', () => {
    const rooms = [...new Set([...imports.keys()].map(floorOf))]
    expect(rooms.toSorted(), 'a new room needs its floor').toEqual(floors.toSorted())
    const up = [...imports].flatMap(([file, { all }]) =>
      all
        .filter((to) => floors.indexOf(floorOf(to)) > floors.indexOf(floorOf(file)))
        .map((to) => `${file} > ${to}`),
    )
    expect(up).toEqual([])
  })
})
