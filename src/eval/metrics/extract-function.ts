/** The first function of an answer, found by a parser, as RepoQA judges code. */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Node, Parser } from '@vscode/tree-sitter-wasm'
import { InputError } from '../../errors.js'
import { strip } from './normalize.js'

/** Node's ESM sees no names in the package's UMD file. */
const require = createRequire(import.meta.url)

/** What counts as a function, by RepoQA's names of languages. */
const functionNodes = {
  python: 'function_definition',
  java: 'method_declaration',
  typescript: 'function_declaration',
  go: 'function_declaration',
  rust: 'function_item',
  cpp: 'function_definition',
} as const
type Language = keyof typeof functionNodes

/**
 * The first function of the first fenced block that has one; the first block where none has; the whole text where
 * nothing is fenced.
 * @throws InputError for a language that RepoQA does not know
 */
export async function extractFunction(prediction: string, language: string): Promise<string> {
  const text = strip(prediction)
  const blocks = fencedBlocks(text)
  if (blocks.length === 0) return text
  const parser = await parserOf(language)
  for (const block of blocks) {
    const found = firstFunction(parser, block, language as Language)
    if (found !== undefined) return found
  }
  return blocks[0]!
}

/** Contents of blocks between lines that start with three backticks; an unclosed one is none. */
export function fencedBlocks(text: string): string[] {
  return [...text.matchAll(/^```\w*\s*\n([\s\S]*?)^```/gm)].map((match) => match[1]!)
}

function firstFunction(parser: Parser, code: string, language: Language): string | undefined {
  const tree = parser.parse(code)
  if (!tree) return undefined
  try {
    const found = tree.rootNode
      .descendantsOfType(functionNodes[language])
      .filter((node): node is Node => node !== null && (language !== 'cpp' || isPlain(node)))
    return found.sort((a, b) => a.startIndex - b.startIndex)[0]?.text
  } finally {
    tree.delete()
  }
}

/** A C++ function with an identifier for a name: no method, operator or destructor. */
function isPlain(node: Node): boolean {
  return node.childForFieldName('declarator')?.childForFieldName('declarator')?.type === 'identifier'
}

const parsers = new Map<string, Promise<Parser>>()

function parserOf(language: string): Promise<Parser> {
  if (!Object.hasOwn(functionNodes, language)) {
    const known = Object.keys(functionNodes).join(', ')
    throw new InputError(`functions in the language '${language}' cannot be judged; known are ${known}`)
  }
  let parser = parsers.get(language)
  if (!parser) {
    parser = loadParser(language)
    parsers.set(language, parser)
  }
  return parser
}

async function loadParser(language: string): Promise<Parser> {
  const { Language, Parser } =
    require('@vscode/tree-sitter-wasm') as typeof import('@vscode/tree-sitter-wasm')
  await Parser.init()
  const folder = dirname(require.resolve('@vscode/tree-sitter-wasm'))
  const grammar = await Language.load(await readFile(join(folder, `tree-sitter-${language}.wasm`)))
  const parser = new Parser()
  parser.setLanguage(grammar)
  return parser
}
