import { Readable } from 'node:stream'

/** Server-sent events, written as they come: `data: {...}`. */
export class EventStream {
  /** What is sent to the client. An answer that nobody reads waits here; its length is limited by its tokens. */
  readonly body = new Readable({ read() {} })

  send(value: object): void {
    this.write(JSON.stringify(value))
  }

  /** OpenAI's last word. */
  end(): void {
    this.write('[DONE]')
    this.body.push(null)
  }

  /** The answer broke off: clients of OpenAI's throw what stands in `error`. */
  fail(envelope: object): void {
    this.send(envelope)
    this.body.push(null)
  }

  private write(data: string): void {
    if (!this.body.destroyed) this.body.push(`data: ${data}\n\n`)
  }
}
