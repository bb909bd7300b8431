import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

export interface Outcome {
  code: number | null
  out: string
  err: string
}

export interface RunOptions {
  cwd?: string
  input?: string
  interruptAfter?: number
  /** In place of variables of this process. */
  env?: Record<string, string>
  started?: (child: ChildProcess) => void
}

/** Runs the built command line, as a user does. */
export function headzip(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return runNode([`${packageRoot}/dist/cli/main.js`, ...args], options)
}

/** @param args of node */
export function runNode(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // Vitest may ask its own processes for colour.
    const { FORCE_COLOR: _, ...env } = process.env
    const child = spawn(process.execPath, args, { cwd: options.cwd, env: { ...env, ...options.env } })
    options.started?.(child)
    const outcome: Outcome = { code: null, out: '', err: '' }
    child.stdout.on('data', (text: Buffer) => {
      outcome.out += text
    })
    child.stderr.on('data', (text: Buffer) => {
      outcome.err += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...outcome, code }))
    child.stdin.end(options.input ?? '')
    if (options.interruptAfter !== undefined) setTimeout(() => child.kill('SIGINT'), options.interruptAfter)
  })
}
