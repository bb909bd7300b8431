/** The process of a tokenizer, seen from the one that asks it. */

import type { ChildProcess } from 'node:child_process'
import { abortError } from '../../engine/job.js'
import { InputError } from '../../errors.js'
import { type CheckedLimits, raisesMemory, raisesTime, secondsToLoad } from './limits.js'
import { AbortListeners } from './on-abort.js'
import { type CallName, type Calls, type FromTokenizer, fileOf, type TokenizerSource } from './protocol.js'
import { startProcess } from './start.js'

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

  private readonly aborts = new AbortListeners()

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
    const forget = this.aborts.add(signal, cancel)
    this.watch()
    // An error here is that of a process that has ended, which tells its own reason.
    child.send({ id, name, input }, () => {})
    try {
      return await answer
    } finally {
      forget()
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
    const { seconds, memoryMiB } = this.limits
    const child = startProcess(memoryMiB)
    child.send({ load: this.source, seconds }, () => {})
    this.child = child
    this.ready = false
    this.silence = 0
    child.on('message', (message) => {
      if (this.child === child) this.hear(message as FromTokenizer)
    })
    child.on('error', ({ message }) =>
      this.ended(child, `${this.file}: the process of its tokenizer cannot be started: ${message}`),
    )
    child.on('exit', (code, signal) => this.ended(child, this.reasonOf(code, signal)))
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

  private ended(child: ChildProcess, reason: string): void {
    if (this.child === child) this.end(new InputError(reason))
  }

  private reasonOf(code: number | null, signal: NodeJS.Signals | null): string {
    const { file } = this
    // V8 aborts where its heap is full, and traps where a list would have more elements than any may.
    if (signal === 'SIGABRT' || code === 134)
      return `${file} makes a tokenizer that needs more than ${this.limits.memoryMiB} MiB of memory; ${raisesMemory}`
    if (signal === 'SIGTRAP' || signal === 'SIGILL')
      return `${file} makes a tokenizer that needs more than JavaScript can hold in one list`
    return `${file}: the process of its tokenizer has ended with ${signal ?? `exit code ${code}`}`
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
