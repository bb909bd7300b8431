/**
 * Who imports whom in src/. By the TypeScript compiler, as no tool fits: dependency-cruiser no longer runs on Node 20,
 * and madge brings a compiler and parsers of its own for what these lines do.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path/posix'
import ts from 'typescript'

export interface Imports {
  /** What is left in the JavaScript that runs, `import()` included. */
  runTime: string[]
  /** Those and the ones of types only. */
  all: string[]
}

/** As the build compiles: an import that is not marked as one of types stays, whatever it brings. */
const compilerOptions: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2023,
  verbatimModuleSyntax: true,
}

/** @returns by file, `scores/arrow.ts`, the files of the same folder that it imports */
export function readImports(folder: string): Map<string, Imports> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return new Map(
    files
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
      .map((file) => [file, importsOf(file, readFileSync(join(folder, file), 'utf8'))]),
  )
}

export function importsOf(file: string, text: string): Imports {
  const { outputText } = ts.transpileModule(text, { compilerOptions })
  return { runTime: relativeImports(file, outputText), all: relativeImports(file, text) }
}

function relativeImports(file: string, text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true)
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => join(file, '..', fileName).replace(/\.js$/, '.ts'))
}

/** Each a way from a file back to itself, written once. */
export function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = []
  const done = new Set<string>()
  const visit = (file: string, way: string[]): void => {
    const at = way.indexOf(file)
    if (at >= 0) cycles.push([...way.slice(at), file].join(' > '))
    if (at >= 0 || done.has(file)) return
    for (const next of imports.get(file) ?? []) visit(next, [...way, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  return cycles
}
