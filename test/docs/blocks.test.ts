/**
 * Every bash and ts block of these pages runs here, from top to bottom in one folder, with nothing changed. A line that
 * cannot run here stands in `elsewhere` with the place that checks it, or the reason that none does; any other line that
 * does not begin with one of `words` fails, and so does a block in another language that is not in `languages`.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'
import { type Block, blocksOf, commandsOf } from './blocks.js'
import { newReader, type Reader, runCommand } from './commands.js'

const pages: Record<string, Record<string, string>> = {
  'README.md': {},
  'docs/use-elsewhere.md': { 'merged.arrow': 'head_scores/nano/merged.arrow' },
}
const words = ['headzip', 'echo']
const languages = ['bash', 'ts', 'python']
const elsewhere: Record<string, string> = {
  'npm install -g headzip': 'the consumer test packs and installs the package',
  'npm run demo': '.ci/run',
  'npm test': '.ci/run',
  'python -m sglang.launch_server --model-path meta-llama/Llama-3.1-8B-Instruct --disable-radix-cache --max-running-requests 32 --enable-headkv --headkv-policy duo --headkv-pattern-path sglang':
    "needs a GPU, a model and SGLang's fork",
}
/** What some of them print. */
const printed: Record<string, RegExp> = {
  'headzip ask nano --context notes.txt --query "Where do I live?" --scores head_scores/nano/merged.arrow --ratio 0.6':
    /^> Where do I live\?\nSeoul\n/,
  'headzip ask nano --cache notes.kv --query "What is my major?"':
    /^> What is my major\?\ncomputer science\n/,
}
const example = 'What is my name? Kim\nWhere do I live? Seoul\n'

describe.each(Object.entries(pages))('%s', (page, given) => {
  const blocks = blocksOf(page)
  const reader = newReader(given)

  it.each(blocks.map((block) => ({ ...block, first: block.text.trim().split('\n')[0]! })))(
    'line $line, $language: $first',
    async (block) => {
      expect(languages).toContain(block.language)
      if (block.language === 'bash') await runBash(block, reader)
      if (block.language === 'ts') await runExample(block, reader)
    },
  )

  it('has blocks to run', () => {
    expect(blocks.length).toBeGreaterThan(3)
  })
})

async function runBash(block: Block, reader: Reader): Promise<void> {
  for (const command of commandsOf(block)) {
    if (command in elsewhere) continue
    if (!words.includes(command.split(' ')[0]!))
      throw new Error(`'${command}' is neither run here nor listed with the place that runs it`)
    const out = await runCommand(command, reader)
    expect(out).toMatch(printed[command] ?? /(?:)/)
  }
}

async function runExample({ text }: Block, reader: Reader): Promise<void> {
  writeFileSync(join(reader.folder, 'example.mjs'), text)
  expect(await runCommand(`'${process.execPath}' example.mjs`, reader)).toBe(example)
}

describe('a ts block', () => {
  it.each(Object.keys(pages).flatMap((page) => blocksOf(page).filter(({ language }) => language === 'ts')))(
    'has sound types: line $line',
    ({ text }) => {
      const file = join(newReader({}).folder, 'example.mts')
      writeFileSync(file, text)
      const program = ts.createProgram([file], {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.NodeNext,
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ['node'],
        typeRoots: [join(packageRoot, 'node_modules/@types')],
      })
      const found = ts.getPreEmitDiagnostics(program)
      expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
    },
  )
})

const python = (() => {
  try {
    return execFileSync('python3', ['-c', 'print("here")'], { encoding: 'utf8' }).trim() === 'here'
  } catch {
    return false
  }
})()

describe('a python block', () => {
  const blocks = Object.keys(pages).flatMap((page) =>
    blocksOf(page).filter(({ language }) => language === 'python'),
  )

  it.skipIf(!python).each(blocks)('can be parsed (needs python3): line $line', ({ text }) => {
    execFileSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: text })
  })
})

describe('what is listed as run elsewhere', () => {
  const commands = Object.keys(pages).flatMap((page) =>
    blocksOf(page)
      .filter(({ language }) => language === 'bash')
      .flatMap(commandsOf),
  )

  it('stands on one of the pages, as does what is said to be printed', () => {
    for (const command of [...Object.keys(elsewhere), ...Object.keys(printed)])
      expect(commands).toContain(command)
  })

  it('is in CI where that is said to run it', () => {
    const ci = readFileSync(join(packageRoot, '.ci/run'), 'utf8')
    expect(ci).toContain('npm run --silent demo')
    expect(ci).toContain('npm test --silent')
  })
})
