/** Runs a page's commands in an empty folder in which headzip is installed. */

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

export interface Reader {
  folder: string
  env: NodeJS.ProcessEnv
}

/** @param given files in the folder, by the paths in the repository that they are copies of */
export function newReader(given: Readonly<Record<string, string>>): Reader {
  const folder = scratchFolder()
  const tools = scratchFolder()
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(packageRoot, join(folder, 'node_modules/headzip'))
  for (const [name, path] of Object.entries(given)) copyFileSync(join(packageRoot, path), join(folder, name))
  const command = join(tools, 'headzip')
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${packageRoot}/dist/cli/main.js' "$@"\n`)
  chmodSync(command, 0o755)
  // Nothing is downloaded, and nobody's own cache is looked at.
  const env = {
    ...process.env,
    PATH: `${tools}${delimiter}${process.env.PATH}`,
    HF_HOME: join(tools, 'hf'),
    HF_HUB_OFFLINE: '1',
  }
  return { folder, env }
}

/** @returns what the command printed. @throws Error with its messages when it fails */
export async function runCommand(command: string, { folder, env }: Reader): Promise<string> {
  if (command.startsWith('headzip serve ')) return serveBriefly(command, { folder, env })
  const child = spawn('bash', ['-euo', 'pipefail', '-c', command], { cwd: folder, env })
  const { out, ended } = watch(child)
  const { code, err } = await ended
  if (code !== 0) throw new Error(`${command}\nended with exit code ${code}: ${err}`)
  return out()
}

/** A server runs until it is told to end: it is asked how it is, on a free port, and ended. */
async function serveBriefly(command: string, { folder, env }: Reader): Promise<string> {
  const child = spawn('bash', ['-c', `exec ${command} --port 0 --json`], { cwd: folder, env })
  const { out, ended } = watch(child)
  await Promise.race([
    new Promise((resolve) => child.stdout.on('data', () => out().endsWith('}\n') && resolve(undefined))),
    ended.then(({ err }) => Promise.reject(new Error(`${command}\nended: ${err}`))),
  ])
  const { url } = JSON.parse(out()) as { url: string }
  const health = await fetch(new URL('/health', url))
  const text = await health.text()
  child.kill('SIGTERM')
  const { code, err } = await ended
  if (code !== 0 || !health.ok)
    throw new Error(`${command}\nanswered ${health.status}, exit code ${code}: ${err}`)
  return text
}

function watch(child: ChildProcess): {
  out: () => string
  ended: Promise<{ code: number | null; err: string }>
} {
  let [out, err] = ['', '']
  child.stdin?.end()
  child.stdout?.on('data', (text: Buffer) => {
    out += text
  })
  child.stderr?.on('data', (text: Buffer) => {
    err += text
  })
  const ended = new Promise<{ code: number | null; err: string }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, err }))
  })
  return { out: () => out, ended }
}
