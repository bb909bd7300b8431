/** A proxy on loopback: passes plain requests on, opens tunnels, asks for a password if it has one. */

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'

export class LoopbackProxy {
  /** `GET http://127.0.0.1:1/path`, `CONNECT 127.0.0.1:1`. */
  readonly asked: string[] = []
  /** `user:password` that it wants. */
  credentials: string | undefined
  /** Status with which it refuses everything. */
  refusing: number | undefined
  /** Tunnels that it refuses with this status before it lets one through. */
  busy = { tunnels: 0, status: 503 }
  private readonly open = new Set<Duplex>()
  private readonly server: Server

  constructor() {
    this.server = createServer((asked, response) => this.pass(asked, response))
    this.server.on('connect', (asked: IncomingMessage, socket: Duplex) => this.tunnel(asked, socket))
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return this
  }

  async stop(): Promise<void> {
    for (const socket of this.open) socket.destroy()
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  reset(): void {
    this.asked.length = 0
    this.credentials = undefined
    this.refusing = undefined
    this.busy = { tunnels: 0, status: 503 }
  }

  private pass(asked: IncomingMessage, response: ServerResponse): void {
    const { method, url = '', headers } = asked
    this.asked.push(`${method} ${url}`)
    const refusal = this.refusalOf(asked)
    if (refusal !== undefined) {
      response.writeHead(refusal).end()
      return
    }
    const onward = request(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    onward.on('error', () => response.destroy())
    asked.pipe(onward)
  }

  private tunnel(asked: IncomingMessage, socket: Duplex): void {
    this.asked.push(`CONNECT ${asked.url}`)
    this.open.add(socket)
    const busy = this.busy.tunnels-- > 0 ? this.busy.status : undefined
    const refusal = this.refusalOf(asked) ?? busy
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`)
      return
    }
    const [host = '', port] = (asked.url ?? '').split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket)
      socket.pipe(onward)
    })
    this.open.add(onward)
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
  }

  private refusalOf({ headers }: IncomingMessage): number | undefined {
    if (this.credentials !== undefined) {
      const right = `Basic ${Buffer.from(this.credentials).toString('base64')}`
      if (headers['proxy-authorization'] !== right) return 407
    }
    return this.refusing
  }
}
