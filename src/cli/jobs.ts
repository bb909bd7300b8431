/** One command in several processes on this machine, each with its own shard. */

import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import type { Progress } from '../engine/job.js'
import { InputError } from '../errors.js'
import { type Shard, subShard } from '../shard.js'
import { interruptSignal } from './interrupt.js'

/** Set in the children, which then report their progress to the parent. */
const jobVariable = 'HEADZIP_JOB'

export interface JobsOptions {
  jobs: number
  shard: Shard
  /** CPU threads of all jobs together; undefined for all cores. */
  threads: number | undefined
  onProgress: (progress: Progress) => void
}

/** @throws InputError with what the first job to fail had to say */
export async function runJobs({ jobs, shard, threads, onProgress }: JobsOptions): Promise<void> {
  const done = new Array<number>(jobs).fill(0)
  const each = Math.max(1, Math.floor((threads ?? availableParallelism()) / jobs))
  const own = withoutOptions(process.argv.slice(2), ['jobs', 'shard', 'threads', 'progress'])
  const failures: string[] = []
  await Promise.all(
    done.map(
      (_, part) =>
        new Promise<void>((resolve) => {
          const { index, count } = subShard(shard, part, jobs)
          const args = [
            ...own,
            '--shard',
            `${index}/${count}`,
            '--threads',
            String(each),
            '--json',
            '--progress',
            'none',
          ]
          const child = fork(process.argv[1]!, args, {
            stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
            env: { ...process.env, [jobVariable]: '1' },
          })
          const stop = (): void => void child.kill('SIGINT')
          interruptSignal.addEventListener('abort', stop, { once: true })
          let said = ''
          child.stderr?.on('data', (text: Buffer) => {
            said += text.toString()
          })
          child.on('message', (message: Progress) => {
            done[part] = message.done
            onProgress({ done: done.reduce((sum, share) => sum + share, 0) / jobs })
          })
          child.on('close', (code, signal) => {
            interruptSignal.removeEventListener('abort', stop)
            // Notes may come before the sentence that it ended with.
            const last = said.trim().split('\n').at(-1)
            if (code !== 0) failures.push(last || `job ${part} ended by ${signal ?? `code ${code}`}`)
            resolve()
          })
          child.on('error', (error) => failures.push(error.message))
        }),
    ),
  )
  if (failures.length > 0) throw new InputError(failures[0]!)
}

/** Tells a parent how far this job is. */
export function reportToParent(progress: Progress): void {
  if (process.env[jobVariable] === '1') process.send?.(progress)
}

function withoutOptions(argv: readonly string[], names: readonly string[]): string[] {
  return argv.filter((arg, i) => {
    const named = (text: string | undefined): boolean => names.some((name) => text === `--${name}`)
    return !named(arg) && !named(argv[i - 1]) && !names.some((name) => arg.startsWith(`--${name}=`))
  })
}
