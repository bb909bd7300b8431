/** docs/environment.md lists the variables that the sources read, and no others. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'
import { pagePath } from './marked.js'

const roots = ['src', 'native', 'cuda', 'scripts', 'test', 'bench', 'CMakeLists.txt']
const sources = /\.(ts|mjs|js|py|sh|cc|h|cu|cuh|cmake)$|CMakeLists\.txt$/

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return sources.test(path) ? [path] : []
  return readdirSync(path).flatMap((name) => filesUnder(join(path, name)))
}

const texts = roots
  .flatMap((root) => filesUnder(join(packageRoot, root)))
  .map((file) => readFileSync(file, 'utf8'))

/** Codes of errors have the same beginning. */
function errorCodes(): string[] {
  const errors = readFileSync(join(packageRoot, 'src/errors.ts'), 'utf8')
  return /type ErrorCode =.*?\n\n/s.exec(errors)![0].match(/HEADZIP_[A-Z]+/g)!
}

/** As a property of an environment, by the name in quotes, as `getenv` takes it, or by a shell or CMake. */
const reads = [
  /\.(HEADZIP_[A-Z_]+)\b/g,
  /(["'])(HEADZIP_[A-Z_]+)\1/g,
  /\$\{?(HEADZIP_[A-Z_]+)/g,
  /ENV\{(HEADZIP_[A-Z_]+)\}/g,
]

function namesRead(text: string): string[] {
  return reads.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match.at(-1)!))
}

it('knows the codes of errors', () => {
  expect(errorCodes()).toEqual(expect.arrayContaining(['HEADZIP_INPUT', 'HEADZIP_ABORTED']))
})

it('lists every variable that is read, once, and no other', () => {
  const options = texts.flatMap((text) =>
    [...text.matchAll(/\b(?:option|find_program|set)\((HEADZIP_[A-Z_]+)/g)].map((match) => match[1]!),
  )
  const others = new Set([...errorCodes(), ...options])
  const read = new Set(texts.flatMap(namesRead).filter((name) => !others.has(name)))
  expect(read.size).toBeGreaterThan(15)
  const rows = readFileSync(pagePath('docs/environment.md'), 'utf8').match(/^\| `HEADZIP_[A-Z_]+` \|/gm) ?? []
  expect(rows.map((row) => row.replaceAll(/[|` ]/g, '')).sort()).toEqual([...read].sort())
})
