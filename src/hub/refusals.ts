/** What the hub's refusals mean, in sentences that say what to do. */

import { InputError } from '../errors.js'
import { describeProxy, proxyFor } from './proxy.js'
import { describeRepo, type Repo } from './repo.js'
import type { HubSettings } from './settings.js'

/** The hub answered, and the answer is final. */
export class HubRefusal extends InputError {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

/** No answer, or none for now: what the cache holds may serve instead. */
export class HubUnreachable extends InputError {}

export interface Subject {
  repo: Repo
  /** The file that was asked for, where it was one. */
  path?: string | undefined
}

/** @param code the hub's X-Error-Code, '' without */
export function refusal(status: number, code: string, subject: Subject, settings: HubSettings): HubRefusal {
  return new HubRefusal(sentence(status, code, subject, settings), status)
}

function sentence(status: number, code: string, { repo, path }: Subject, settings: HubSettings): string {
  const { endpoint, token } = settings
  const what = describeRepo(repo)
  const page = `${endpoint}/${repo.type === 'dataset' ? 'datasets/' : ''}${repo.name}`
  if (code === 'GatedRepo' || status === 403) {
    const then = token ? 'and use a token that may read it' : 'and set HF_TOKEN to a token that may read it'
    return `${endpoint} refuses ${what} (${status}): accept its terms at ${page}, ${then}`
  }
  if (status === 401) {
    return token
      ? `${endpoint} does not accept the Hugging Face token for ${what} (401): check HF_TOKEN or the token file, and the name`
      : `${what} does not exist on ${endpoint} or needs a login (401): check the name, or set HF_TOKEN`
  }
  if (code === 'RevisionNotFound') return `${repo.name} has no revision ${repo.revision} on ${endpoint}`
  if (code === 'EntryNotFound' || (status === 404 && path))
    return `${what} holds no file ${path ?? ''}`.trimEnd()
  if (status === 404) return `${what} does not exist on ${endpoint} (404): check the name and the revision`
  return `${endpoint} answers ${status} for ${what}${path ? `, file ${path}` : ''}`
}

/** @param seconds it asks for, or would be waited next. @param attempt tries that were made */
export function tooManyRequests(
  seconds: number,
  attempt: number,
  { endpoint, token }: HubSettings,
): HubUnreachable {
  const advice = token ? '' : ', or set HF_TOKEN, with which the limit is higher'
  return new HubUnreachable(
    `${endpoint} has had too many requests (429, ${triesOf(attempt)}): try again in ${Math.ceil(seconds)} s${advice}`,
  )
}

export interface Failure {
  /** `it answers 503` */
  why: string
  url: string
  attempt: number
  /** Seconds since the first try. */
  elapsed: number
  /** Seconds that the server asked for. */
  asked: number | undefined
}

export function unreachable(failure: Failure, settings: HubSettings, cause?: unknown): HubUnreachable {
  const { why, url, attempt, elapsed, asked } = failure
  const proxy = proxyFor(url, settings.proxies)
  const through = proxy ? ` through the proxy ${describeProxy(proxy)}` : ''
  const pause = asked === undefined ? '' : ` and asks to wait ${Math.ceil(asked)} s`
  return new HubUnreachable(
    `${settings.endpoint} cannot be reached${through}: ${why}${pause} (${triesOf(attempt)} in ${elapsed.toFixed(1)} s)`,
    { cause },
  )
}

/** A proxy will not let the request through: trying again would change nothing. */
export function proxyRefusal(status: number, url: string, settings: HubSettings): HubUnreachable {
  const proxy = proxyFor(url, settings.proxies)
  const { endpoint } = settings
  if (!proxy) return new HubUnreachable(`a proxy on the way to ${endpoint} refuses the request (${status})`)
  const name = describeProxy(proxy)
  return new HubUnreachable(
    status === 407
      ? `the proxy ${name} asks for a user and a password, or other ones (407): ${proxy.variable} takes them as http://user:password@host:port`
      : `the proxy ${name} refuses to connect to ${endpoint} (${status}): check ${proxy.variable}, or list the host in NO_PROXY`,
  )
}

function triesOf(attempt: number): string {
  return attempt === 1 ? '1 try' : `${attempt} tries`
}

/** The innermost reason of a failed fetch, whose own message is only `fetch failed`. */
export function networkReason(error: unknown): string {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  if (!(inner instanceof Error)) return String(inner)
  // Several addresses were tried: an AggregateError has no message of its own.
  const [first] = inner instanceof AggregateError ? (inner.errors as unknown[]) : []
  return first instanceof Error ? first.message : inner.message || inner.name
}
