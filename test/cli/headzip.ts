import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

export interface Outcome {
  code: number | null
  out: string
  err: string
}

/** Runs the built command line, as a user does. */
export function headzip(
  args: string[],
  options: {
    cwd?: string
    input?: string
    interruptAfter?: number
    /** In place of variables of this process. */
    env?: Record<string, string>
    started?: (child: ChildProcess) => void
  } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`${packageRoot}/dist/cli/main.js`, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    })
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
