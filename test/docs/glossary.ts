/** The names in the sources, and which of them are those of words that docs/glossary.md retires. */

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path/posix'
import ts from 'typescript'

export type Language = 'TypeScript' | 'C++' | 'CUDA'

export const folders: Readonly<Record<Language, readonly string[]>> = {
  TypeScript: ['src'],
  'C++': ['native'],
  CUDA: ['cuda'],
}
/** Whose names are no vocabulary, but must not go back to retired words either. */
export const otherFolders: Readonly<Record<Language, readonly string[]>> = {
  TypeScript: ['test', 'bench', 'scripts'],
  'C++': ['test/native'],
  CUDA: [],
}

const isSource = /\.(ts|mjs|cc|h|cu|cuh)$/

/** By name, the files in which it is an identifier or a part of the file's own name. */
export type Names = ReadonlyMap<string, readonly string[]>

export function readNames(language: Language, paths: readonly string[]): Names {
  const names = new Map<string, string[]>()
  for (const file of paths.flatMap(sourcesOf)) {
    if (language === 'TypeScript' && !/\.(ts|mjs)$/.test(file)) continue
    const text = readFileSync(file, 'utf8')
    const found = language === 'TypeScript' ? identifiersOfTypeScript(text) : identifiersOfCpp(text)
    found.add(basename(file).replace(/\..*/, ''))
    for (const name of found) names.set(name, [...(names.get(name) ?? []), file])
  }
  return names
}

function sourcesOf(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => isSource.test(file) && !file.includes('fixtures'))
    .map((file) => join(folder, file))
}

export function identifiersOfTypeScript(text: string): Set<string> {
  const names = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) names.add(node.text.replace(/^#/, ''))
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('a.ts', text, ts.ScriptTarget.ES2023))
  return names
}

/** Comments and literals are passed over. By hand, since a parser of C++ would be a compiler. */
export function identifiersOfCpp(text: string): Set<string> {
  const tokens = text.matchAll(
    /\/\/.*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+'|[A-Za-z_]\w*/g,
  )
  return new Set([...tokens].map(([token]) => token).filter((token) => /^\w/.test(token)))
}

/** `kMaxKvSegments` -> k, max, kv, segments */
export function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
    .split(/[_\-$]+/)
    .filter((word) => word !== '')
}
