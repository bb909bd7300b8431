/** A conversation on the terminal, over one compressed context. */

import { createInterface } from 'node:readline'
import { isUserError } from '../../errors.js'
import { Conversation } from '../../inference/conversation.js'
import type { Generation } from '../../inference/generate.js'
import type { Model } from '../../inference/model.js'
import { interruptSignal, takeInterrupts } from '../interrupt.js'
import { formatBytes, printContent } from '../output.js'
import type { Answering } from './answering.js'
import { cachesAsText, speed } from './answers.js'
import type { NamedCache } from './caches.js'

const help = `/help   this list
/stats  what the cache holds, and how fast the last answer came
/reset  forget what was said; the context stays
/quit   leave
Ctrl-C stops an answer; twice it leaves.`

export async function chat(model: Model, cache: NamedCache, answering: Answering): Promise<void> {
  const session = new ChatSession(model, cache, answering)
  try {
    await session.run()
  } finally {
    session.close()
  }
}

class ChatSession {
  private readonly conversation: Conversation
  private readonly lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: '> ',
    terminal: process.stdin.isTTY && process.stdout.isTTY,
  })
  private readonly giveBack: () => void
  /** Stops the answer at hand. */
  private answer: AbortController | undefined
  private last: Generation | undefined
  /** Ctrl-C was pressed and nothing typed since. */
  private leaving = false
  private closed = false

  constructor(
    private readonly model: Model,
    private readonly cache: NamedCache,
    private readonly answering: Answering,
  ) {
    this.conversation = new Conversation(model, cache.kv)
    // A terminal in raw mode hands Ctrl-C to readline; a signal comes to the process.
    this.giveBack = takeInterrupts(() => this.interrupt())
    this.lines.on('SIGINT', () => this.interrupt())
    interruptSignal.addEventListener('abort', this.quit)
  }

  async run(): Promise<void> {
    this.print('Ask about the context; /help lists what else can be said.\n')
    this.lines.prompt()
    for await (const line of this.lines) {
      this.leaving = false
      const text = line.trim()
      if (text === '/quit') break
      if (text.startsWith('/')) this.command(text)
      else if (text !== '') await this.ask(text)
      if (this.closed) break
      this.lines.prompt()
    }
  }

  close(): void {
    interruptSignal.removeEventListener('abort', this.quit)
    this.giveBack()
    this.lines.close()
    this.conversation.close()
  }

  private readonly quit = (): void => {
    this.closed = true
    this.answer?.abort()
    this.lines.close()
  }

  private interrupt(): void {
    if (this.leaving) {
      this.quit()
      return
    }
    this.leaving = true
    if (this.answer) {
      this.answer.abort()
      return
    }
    this.print('\nCtrl-C again leaves, as /quit does.\n')
    this.lines.prompt()
  }

  private command(text: string): void {
    if (text === '/help') this.print(`${help}\n`)
    else if (text === '/stats') this.print(`${this.stats()}\n`)
    else if (text === '/reset') {
      this.conversation.reset()
      this.print('Forgotten; the context stays.\n')
    } else this.print(`There is no ${text}; /help lists what there is.\n`)
  }

  private async ask(query: string): Promise<void> {
    this.answer = new AbortController()
    try {
      this.last = await this.conversation.ask(query, {
        ...this.answering,
        signal: this.answer.signal,
        onText: (text) => this.print(text),
      })
      this.print('\n')
    } catch (error) {
      if (!isUserError(error)) throw error
      if (error.code !== 'HEADZIP_ABORTED') this.print(`${error.message}\n`)
      else this.print('\n(stopped; the question is forgotten)\n')
    } finally {
      this.answer = undefined
      this.leaving = false
    }
  }

  private stats(): string {
    const { turns, state } = this.conversation
    const { ropePositions, info } = this.cache.kv
    const { prefix, context } = info
    const said = state.position - prefix - context
    const facts = [
      `${context} tokens of context, ${said} said in ${turns} question${turns === 1 ? '' : 's'}; ${this.model.positionsFor(ropePositions)} positions in all`,
      `${formatBytes(state.bytes)} of KV with what was said`,
      ...(this.last ? [`last answer: ${speed(this.last)}`] : []),
    ]
    return `${cachesAsText([this.cache])}\n\n${facts.join('\n')}`
  }

  private print(text: string): void {
    printContent(text)
  }
}
