/** A user's machine: an empty folder, and a PATH with npm but without compilers. */

import { spawn } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { env } from 'node:process'
import { type Outcome, packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

/** What npm itself and the scripts of packages call. */
const tools = ['node', 'npm', 'npx', 'sh', 'env']

export function pathWithoutCompilers(): string {
  const folder = scratchFolder()
  for (const tool of tools) symlinkSync(realpathSync(findOnPath(tool)), join(folder, tool))
  return folder
}

function findOnPath(tool: string): string {
  const found = (env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, tool))
    .find(existsSync)
  if (found === undefined) throw new Error(`${tool} is not on the PATH`)
  return found
}

export function runIn(
  folder: string,
  command: string,
  args: string[],
  overrides: Record<string, string> = {},
): Promise<Outcome> {
  // What `npm run` tells its scripts about this checkout is not what a user's shell holds.
  const clean = Object.entries(env).filter(([name]) => !/^(npm_|INIT_CWD|NODE_|HEADZIP_|VITEST)/i.test(name))
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...Object.fromEntries(clean), HEADZIP_DEVICE: 'cpu', ...overrides },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const outcome: Outcome = { code: null, out: '', err: '' }
    child.stdout.on('data', (text: Buffer) => {
      outcome.out += text
    })
    child.stderr.on('data', (text: Buffer) => {
      outcome.err += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...outcome, code }))
  })
}

/** The README's library example: its only block in TypeScript. */
export function readmeExample(): string {
  const blocks = [...readFileSync(join(packageRoot, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)]
  if (blocks.length !== 1) throw new Error(`README.md has ${blocks.length} blocks in TypeScript, not one`)
  return blocks[0]?.[1] ?? ''
}
