/**
 * A server on loopback that speaks as much of the hub's protocol as a download needs: repository and revision, file
 * lists, byte ranges, and LFS files behind a redirect to another host. A test may have its say before each answer.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

export interface RepoFiles {
  type?: 'model' | 'dataset'
  /** `org/name` */
  name: string
  /** Contents by branch (or tag), then by path. */
  branches: Record<string, Record<string, Buffer>>
  /** Only this token may read it. */
  token?: string
}

export interface Asked {
  method: string
  /** Path and query. */
  url: string
  range: string | undefined
  authorization: string | undefined
  host: 'hub' | 'files'
}

/** Answers in place of the server: true when it has. */
export type Interference = (asked: Asked, response: ServerResponse, request: IncomingMessage) => boolean

/** Paths of files that LFS keeps. */
const isLfs = (path: string): boolean => /\.(safetensors|gguf|parquet)$/.test(path)

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
export const gitSha1 = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

/** The commit that a branch with these contents has here. */
export function commitOf(files: Record<string, Buffer>): string {
  const hash = createHash('sha1')
  for (const [path, bytes] of Object.entries(files)) hash.update(`${path} ${gitSha1(bytes)}\n`)
  return hash.digest('hex')
}

/** Who is to reach a hub at https:// trusts this: NODE_EXTRA_CA_CERTS. */
export const certificate = fileURLToPath(new URL('../fixtures/tls/loopback.pem', import.meta.url))

export class FakeHub {
  readonly asked: Asked[] = []
  interfere: Interference = () => false
  /** Bytes of a file that are sent at once. */
  chunk = 64 * 1024
  /** Milliseconds between them. */
  delay = 0
  private readonly servers: Server[] = []
  private readonly blobs = new Map<string, Buffer>()
  endpoint = ''
  private filesAt = ''

  /** @param secure at https:// */
  constructor(
    private readonly repos: RepoFiles[],
    private readonly secure = false,
  ) {
    for (const { branches } of repos)
      for (const bytes of Object.values(branches).flatMap((files) => Object.values(files)))
        this.blobs.set(sha256(bytes), bytes)
  }

  async start(): Promise<this> {
    this.endpoint = await this.listen('hub', (url, request, response) => this.hub(url, request, response))
    this.filesAt = await this.listen('files', (url, request, response) => this.files(url, request, response))
    return this
  }

  async stop(): Promise<void> {
    for (const server of this.servers) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  /** Requests for the contents of files. */
  get downloads(): Asked[] {
    return this.asked.filter(({ url, method }) => method === 'GET' && /\/resolve\//.test(url))
  }

  private async listen(
    host: Asked['host'],
    answer: (url: URL, request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    const server = this.server((request, response) => {
      const { method = '', url = '', headers } = request
      const asked: Asked = { method, url, range: headers.range, authorization: headers.authorization, host }
      this.asked.push(asked)
      response.on('error', () => undefined)
      if (!this.interfere(asked, response, request)) answer(new URL(url, 'http://hub'), request, response)
    })
    this.servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    // Two names of one address are two hosts to fetch.
    const name = host === 'hub' ? '127.0.0.1' : 'localhost'
    return `http${this.secure ? 's' : ''}://${name}:${(server.address() as AddressInfo).port}`
  }

  private server(answer: RequestListener): Server {
    if (!this.secure) return createServer(answer)
    const key = readFileSync(certificate.replace(/pem$/, 'key'))
    return createSecureServer({ cert: readFileSync(certificate), key }, answer)
  }

  private hub(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(url.pathname)
    const api = /^\/api\/(model|dataset)s\/([^/]+\/[^/]+)\/(revision|tree|paths-info)\/(.+)$/.exec(path)
    const resolve = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path)
    if (!api && !resolve) {
      refuse(response, 404, '')
      return
    }
    const type = (api?.[1] ?? (resolve?.[1] ? 'dataset' : 'model')) as 'model' | 'dataset'
    const name = api?.[2] ?? resolve?.[2] ?? ''
    const repo = this.repos.find((each) => each.name === name && (each.type ?? 'model') === type)
    const { authorization } = request.headers
    // As the hub does: who has not logged in does not learn which repositories there are.
    if (!repo) {
      refuse(response, authorization ? 404 : 401, 'RepoNotFound')
      return
    }
    if (repo.token !== undefined && authorization !== `Bearer ${repo.token}`) {
      refuse(response, authorization ? 403 : 401, 'GatedRepo')
      return
    }
    const [wanted = '', ...rest] = (api?.[4] ?? `${resolve?.[3]}`).split('/')
    const revision = api?.[3] === 'revision' ? [wanted, ...rest].join('/') : wanted
    const branch = Object.entries(repo.branches).find(
      ([b, files]) => b === revision || commitOf(files) === revision,
    )
    if (!branch) {
      refuse(response, 404, 'RevisionNotFound')
      return
    }
    const [, files] = branch
    if (api?.[3] === 'revision') {
      json(response, { _id: '1', id: name, sha: commitOf(files), tags: [] })
      return
    }
    if (api?.[3] === 'tree') {
      this.tree(files, url, response)
      return
    }
    if (api?.[3] === 'paths-info') {
      pathsInfo(files, request, response)
      return
    }
    this.resolve(files, resolve?.[4] ?? '', request, response)
  }

  /** One page of the list of files; the next one's address stands in a header. */
  private tree(files: Record<string, Buffer>, url: URL, response: ServerResponse): void {
    const pageSize = 3
    const at = Number(url.searchParams.get('cursor') ?? 0)
    const recursive = url.searchParams.get('recursive') === 'true'
    const entries = Object.entries(files)
      .filter(([path]) => recursive || !path.includes('/'))
      .map(([path, bytes]) => entry(path, bytes))
    if (at + pageSize < entries.length) {
      const next = new URL(url.pathname + url.search, this.endpoint)
      next.searchParams.set('cursor', String(at + pageSize))
      response.setHeader('link', `<${next.href}>; rel="next"`)
    }
    json(response, entries.slice(at, at + pageSize))
  }

  private resolve(
    files: Record<string, Buffer>,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const bytes = files[path]
    if (!bytes) {
      refuse(response, 404, 'EntryNotFound')
      return
    }
    response.setHeader('x-repo-commit', commitOf(files))
    if (isLfs(path)) {
      response.setHeader('x-linked-etag', `"${sha256(bytes)}"`)
      response.setHeader('x-linked-size', bytes.length)
      response.writeHead(302, { location: `${this.filesAt}/resolve/${sha256(bytes)}` }).end()
    } else {
      response.setHeader('etag', `"${gitSha1(bytes)}"`)
      this.send(bytes, request, response)
    }
  }

  private files(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const bytes = this.blobs.get(url.pathname.split('/').at(-1) ?? '')
    if (!bytes) {
      refuse(response, 404, '')
      return
    }
    this.send(bytes, request, response)
  }

  /** The whole, or what a range asks for, in chunks; `cutAt` ends the connection there, counted in the whole file. */
  send(bytes: Buffer, request: IncomingMessage, response: ServerResponse, cutAt = bytes.length + 1): void {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (from > 0) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    const next = (at: number): void => {
      if (response.destroyed) return
      if (at >= cutAt) response.destroy()
      else if (at >= bytes.length) response.end()
      else {
        const end = Math.min(at + this.chunk, bytes.length, Math.max(cutAt, at))
        response.write(bytes.subarray(at, end), () =>
          this.delay > 0 ? setTimeout(next, this.delay, end) : next(end),
        )
      }
    }
    next(from)
  }
}

function entry(path: string, bytes: Buffer): object {
  const lfs = isLfs(path) && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } }
  return { type: 'file', path, size: bytes.length, oid: gitSha1(bytes), ...lfs }
}

function pathsInfo(files: Record<string, Buffer>, request: IncomingMessage, response: ServerResponse): void {
  let body = ''
  request.on('data', (text: Buffer) => {
    body += text
  })
  request.on('end', () => {
    const { paths } = JSON.parse(body) as { paths: string[] }
    json(
      response,
      paths.flatMap((path) => (files[path] ? [entry(path, files[path])] : [])),
    )
  })
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(value))
}

export function refuse(response: ServerResponse, status: number, code: string, headers: object = {}): void {
  response.writeHead(status, { ...(code && { 'x-error-code': code }), ...headers }).end('refused')
}
