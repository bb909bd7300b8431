/** One request to the hub: token, proxy, timeout, patience with what passes, and a sentence for what does not. */

import { abortError } from '../engine/job.js'
import { version } from '../engine/version.js'
import { fetchThrough } from './proxy.js'
import {
  networkReason,
  proxyRefusal,
  refusal,
  type Subject,
  tooManyRequests,
  unreachable,
} from './refusals.js'
import { askedWait, type HubWait, pause, tries, waitAfter } from './retry.js'
import type { HubSettings } from './settings.js'

export interface Connection {
  settings: HubSettings
  signal?: AbortSignal | undefined
  onWait?: ((wait: HubWait) => void) | undefined
}

export interface RequestOptions {
  init?: RequestInit | undefined
  subject: Subject
  /** Ends the request, its body included; the connection's own signal and timeout when left out. */
  signal?: AbortSignal | undefined
}

/**
 * @returns a response with a status of success
 * @throws HubRefusal for a final answer, HubUnreachable for none or too many requests, an abort error
 */
export async function request(
  url: string,
  connection: Connection,
  options: RequestOptions,
): Promise<Response> {
  const { settings, signal } = connection
  const fetchIt = await fetchThrough(settings.proxies)
  const started = performance.now()
  for (let attempt = 1; ; attempt++) {
    const { response, error } = await once(fetchIt, url, connection, options)
    if (response?.ok) return response
    if (signal?.aborted) throw abortError()
    // The caller ended it, and will know why.
    if (options.signal?.aborted) throw error
    await response?.body?.cancel()
    const asked = response && askedWait(response)
    const why = response ? failureOf(response, options.subject, settings) : reasonOf(error, url, settings)
    const seconds = waitAfter(attempt, settings, asked)
    const elapsed = (performance.now() - started) / 1000
    if (attempt >= tries || elapsed + seconds > settings.patienceSeconds) {
      if (response?.status === 429) throw tooManyRequests(asked ?? seconds, attempt, settings)
      throw unreachable({ why, url, attempt, elapsed, asked }, settings, error)
    }
    connection.onWait?.({ why: `${settings.endpoint}: ${why}`, seconds, attempt, tries })
    await pause(seconds, signal)
  }
}

interface Outcome {
  response?: Response
  error?: unknown
}

async function once(
  fetchIt: typeof fetch,
  url: string,
  { settings, signal }: Connection,
  options: RequestOptions,
): Promise<Outcome> {
  if (signal?.aborted) throw abortError()
  const headers = new Headers(options.init?.headers)
  headers.set('user-agent', `headzip/${version}`)
  // fetch drops it on a redirect to another host, where the files themselves lie.
  if (settings.token) headers.set('authorization', `Bearer ${settings.token}`)
  const timeout = AbortSignal.timeout(settings.timeoutSeconds * 1000)
  try {
    const response = await fetchIt(url, {
      ...options.init,
      // Plain entries: a proxy's fetch is not Node's, nor are its headers.
      headers: Object.fromEntries(headers),
      signal: options.signal ?? (signal ? AbortSignal.any([signal, timeout]) : timeout),
    })
    return { response }
  } catch (error) {
    return { error }
  }
}

/** Of an answer that may be another one later. @throws HubRefusal for a final one */
function failureOf(response: Response, subject: Subject, settings: HubSettings): string {
  const { status, headers } = response
  if (status === 407) throw proxyRefusal(status, response.url, settings)
  if (status === 429) return 'too many requests (429)'
  if (status >= 500 || status === 408) return `it answers ${status}`
  throw refusal(status, headers.get('x-error-code') ?? '', subject, settings)
}

/** Of no answer. @throws HubUnreachable when a proxy refuses for good */
function reasonOf(error: unknown, url: string, settings: HubSettings): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `nothing came for ${settings.timeoutSeconds} s`
  const reason = networkReason(error)
  const status = Number(/proxy\b.*\((\d{3})\)/i.exec(reason)?.[1])
  if (status >= 500) return `the proxy answers ${status}`
  if (status >= 400) throw proxyRefusal(status, url, settings)
  return reason
}
