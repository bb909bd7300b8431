/** The process of a tokenizer, seen from the one that asks it. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { abortError } from '../../engine/job.js'
import { InputError } from '../../errors.js'
import { type CheckedLimits, raisesMemory, raisesTime, secondsToLoad } from './limits.js'
import { type CallName, type Calls, type FromTokenizer, fileOf, type TokenizerSource } from './protocol.js'

// Compiled, whether this file is or not.
const entry = fileURLToPath(new URL('../../../dist/model/tokenizer/main.js', import.meta.url))

const tickMilliseconds = 500
/** Until the process has started, and between its own look at the clock and ours. */
const spareSeconds = 10

interface Waiting {
  resolve(value: never): void
  reject(error: Error): void
}

/** Started with the first call, and again with the first after it has ended. */
export class TokenizerProcess {
  private child: ChildProcess | undefined
  private readonly waiting = new Map<number, Waiting>()
  private calls = 0
  private ready = false
  /** Ticks since the process was last heard of: where we are held up ourselves, none go by. */
  private silence = 0
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(
    private readonly source: TokenizerSource,
    private readonly limits: CheckedLimits,
  ) {}

  /** @throws InputError with one sentence on what cannot be done, an Error with code HEADZIP_ABORTED when aborted */
  async call<K extends CallName>(
    name: K,
    input: Calls[K]['input'],
    signal?: AbortSignal,
  ): Promise<Calls[K]['output']> {
    if (signal?.aborted) throw abortError()
    if (!this.child?.connected) this.restart()
    const child = this.child!
    const id = this.calls++
    let cancel = (): void => {}
    const answer = new Promise<Calls[K]['output']>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      cancel = () => {
        if (!this.waiting.delete(id)) return
        if (child.connected) child.send({ cancel: id }, () => {})
        reject(abortError())
      }
    })
    signal?.addEventListener('abort', cancel, { once: true })
    this.watch()
    // An error here is that of a process that has ended, which tells its own reason.
    child.send({ id, name, input }, () => {})
    try {
      return await answer
    } finally {
      signal?.removeEventListener('abort', cancel)
      this.rest()
    }
  }

  /** Ends the process once nobody waits for it; one that is started later ends as soon. */
  close(): void {
    this.closed = true
    if (this.waiting.size === 0) this.end()
  }

  /** @param reason what those are told who wait */
  end(reason: Error = abortError()): void {
    const { child } = this
    this.child = undefined
    child?.kill('SIGKILL')
    for (const { reject } of this.waiting.values()) reject(reason)
    this.waiting.clear()
  }

  private restart(): void {
    this.end(new InputError(`${this.file}: the process of its tokenizer has ended`))
    const { source, limits } = this
    const { seconds, memoryMiB } = limits
    const child = fork(entry, [JSON.stringify({ source, seconds })], {
      execArgv: [`--max-old-space-size=${Math.ceil(memoryMiB)}`],
      serialization: 'advanced',
      // V8 writes pages on its way out of memory.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    this.child = child
    this.ready = false
    this.silence = 0
    child.on('message', (message) => {
      if (this.child === child) this.hear(message as FromTokenizer)
    })
    child.on('error', (error) => this.ended(child, `cannot be started: ${error.message}`))
    child.on('exit', (code, signal) => this.ended(child, `has ended with ${signal ?? `exit code ${code}`}`))
  }

  private get file(): string {
    return fileOf(this.source)
  }

  private hear(message: FromTokenizer): void {
    this.silence = 0
    if ('alive' in message) this.ready = true
    else if ('failed' in message) this.end(new InputError(message.failed))
    else {
      const waiting = this.waiting.get(message.id)
      this.waiting.delete(message.id)
      if (message.error === undefined) waiting?.resolve(message.value as never)
      else waiting?.reject(new InputError(message.error))
    }
  }

  private ended(child: ChildProcess, how: string): void {
    if (this.child !== child) return
    const { memoryMiB } = this.limits
    this.end(
      new InputError(
        // V8 aborts where its heap is full.
        how.endsWith('SIGABRT') || how.endsWith('code 134')
          ? `${this.file} makes a tokenizer that needs more than ${memoryMiB} MiB of memory; ${raisesMemory}`
          : `${this.file}: the process of its tokenizer ${how}`,
      ),
    )
  }

  /** While somebody waits, this process stays for the answer, and looks whether one can still come. */
  private watch(): void {
    if (this.timer) return
    this.child?.ref()
    this.child?.channel?.ref()
    this.silence = 0
    this.timer = setInterval(() => this.tick(), tickMilliseconds)
  }

  private rest(): void {
    if (this.waiting.size > 0) return
    clearInterval(this.timer)
    this.timer = undefined
    this.child?.unref()
    this.child?.channel?.unref()
    if (this.closed) this.end()
  }

  /** It ends its jobs itself when their time is out, but for the few that V8 cannot end. */
  private tick(): void {
    const { seconds } = this.limits
    const most = (this.ready ? seconds : secondsToLoad(seconds)) + spareSeconds
    if (++this.silence * tickMilliseconds < most * 1000) return
    this.end(new InputError(`${this.file} makes a tokenizer that was silent for ${most} s; ${raisesTime}`))
  }
}
