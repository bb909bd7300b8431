/** Processes for tokenizers: what starts early is there when a model is. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { checkLimits } from './limits.js'

// Compiled, whether this file is or not.
const entry = fileURLToPath(new URL('../../../dist/model/tokenizer/main.js', import.meta.url))

let spare: { child: ChildProcess; memoryMiB: number } | undefined

/** Starts a process for the tokenizer that is opened first, under the usual limits. It keeps nobody from ending. */
export function startEarly(): void {
  try {
    const { memoryMiB } = checkLimits()
    const child = forked(memoryMiB)
    child.on('error', () => {})
    child.unref()
    child.channel?.unref()
    spare = { child, memoryMiB }
  } catch {
    // Whoever opens a tokenizer is told what is wrong.
  }
}

/** @param memoryMiB of JavaScript's heap */
export function startProcess(memoryMiB: number): ChildProcess {
  const early = spare
  if (early?.memoryMiB !== memoryMiB || !early.child.connected) return forked(memoryMiB)
  spare = undefined
  early.child.ref()
  early.child.channel?.ref()
  return early.child
}

function forked(memoryMiB: number): ChildProcess {
  return fork(entry, [], {
    execArgv: [`--max-old-space-size=${Math.ceil(memoryMiB)}`],
    serialization: 'advanced',
    // V8 writes pages on its way out of memory.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
}
