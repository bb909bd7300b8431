/** One request to the hub: token, timeout, patience with what passes, and a sentence for what does not. */

import { setTimeout as sleep } from 'node:timers/promises'
import { abortError } from '../engine/job.js'
import { version } from '../engine/version.js'
import { HubUnreachable, networkReason, refusal, type Subject, tooManyRequests } from './refusals.js'
import type { HubSettings } from './settings.js'

export interface Connection {
  settings: HubSettings
  signal?: AbortSignal | undefined
}

export interface RequestOptions {
  init?: RequestInit | undefined
  subject: Subject
  /** Ends the request, its body included; the connection's own signal and timeout when left out. */
  signal?: AbortSignal | undefined
}

/** Tries before a failure that may pass counts as one that does not. */
export const tries = 4

/** A server that asks for more patience than this is told to the user instead. */
const longestWaitSeconds = 60

/**
 * @returns a response with a status of success
 * @throws HubRefusal for a final answer, HubUnreachable for none, an abort error
 */
export async function request(
  url: string,
  connection: Connection,
  options: RequestOptions,
): Promise<Response> {
  const { settings } = connection
  for (let attempt = 1; ; attempt++) {
    const outcome = await once(url, connection, options)
    if (outcome instanceof Response && outcome.ok) return outcome
    if (connection.signal?.aborted) throw abortError()
    // The caller ended it, and will know why.
    if (options.signal?.aborted) throw outcome
    const last = attempt >= tries
    if (!(outcome instanceof Response)) {
      const late = outcome instanceof Error && outcome.name === 'TimeoutError'
      const why = late ? `nothing came for ${settings.timeoutSeconds} s` : networkReason(outcome)
      if (last) throw unreachable(settings, why, outcome)
      await pause(backoff(attempt, settings), connection)
      continue
    }
    await outcome.body?.cancel()
    if (outcome.status === 429) {
      const seconds = retryAfter(outcome) ?? backoff(attempt, settings)
      if (last || seconds > longestWaitSeconds) throw tooManyRequests(seconds, settings)
      await pause(seconds, connection)
    } else if (outcome.status >= 500 || outcome.status === 408) {
      if (last) throw unreachable(settings, `it answers ${outcome.status}`)
      await pause(retryAfter(outcome) ?? backoff(attempt, settings), connection)
    } else {
      throw refusal(outcome.status, outcome.headers.get('x-error-code') ?? '', options.subject, settings)
    }
  }
}

async function once(
  url: string,
  { settings, signal }: Connection,
  options: RequestOptions,
): Promise<unknown> {
  if (signal?.aborted) throw abortError()
  const headers = new Headers(options.init?.headers)
  headers.set('user-agent', `headzip/${version}`)
  // fetch drops it on a redirect to another host, where the files themselves lie.
  if (settings.token) headers.set('authorization', `Bearer ${settings.token}`)
  const timeout = AbortSignal.timeout(settings.timeoutSeconds * 1000)
  try {
    return await fetch(url, {
      ...options.init,
      headers,
      signal: options.signal ?? (signal ? AbortSignal.any([signal, timeout]) : timeout),
    })
  } catch (error) {
    return error
  }
}

function unreachable({ endpoint }: HubSettings, why: string, cause?: unknown): HubUnreachable {
  return new HubUnreachable(`${endpoint} cannot be reached: ${why}`, { cause })
}

export function backoff(attempt: number, { backoffSeconds }: HubSettings): number {
  return backoffSeconds * 2 ** (attempt - 1)
}

export async function pause(seconds: number, { signal }: Connection): Promise<void> {
  try {
    await sleep(seconds * 1000, undefined, { signal })
  } catch {
    throw abortError()
  }
}

/** Seconds, or undefined when the header is absent or no date or number. */
function retryAfter(response: Response): number | undefined {
  const text = response.headers.get('retry-after')?.trim()
  if (!text) return undefined
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}
