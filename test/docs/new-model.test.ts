/** docs/new-model.md: the family that it shows has sound types, and the functions that it names are there. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'
import { blocksOf } from './blocks.js'
import { pagePath } from './marked.js'

const page = 'docs/new-model.md'
const families = join(packageRoot, 'src/model/families')

it('shows a family that compiles where it would stand', () => {
  const shown = blocksOf(page).find(({ language }) => language === 'ts')!.text
  const file = join(families, 'mymodel.ts')
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    strict: true,
    noEmit: true,
    noUnusedLocals: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(packageRoot, 'node_modules/@types')],
  }
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists } = host
  host.readFile = (path) => (path === file ? shown : readFile(path))
  host.fileExists = (path) => path === file || fileExists(path)
  const program = ts.createProgram([file], options, host)
  const source = program.getSourceFile(file)
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
})

it('names only functions that families have', () => {
  const text = readFileSync(pagePath(page), 'utf8')
  const sources = readdirSync(families).map((name) => readFileSync(join(families, name), 'utf8'))
  const named = [...text.matchAll(/`(\w+)\((?:config|plan|spec|layer)\b/g)].map((match) => match[1]!)
  expect(named.length).toBeGreaterThan(4)
  expect(named.filter((name) => !sources.some((each) => each.includes(`export function ${name}(`)))).toEqual(
    [],
  )
})
