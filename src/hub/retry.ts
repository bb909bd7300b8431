/** How long a failed request waits before it is tried again. */

import { setTimeout as sleep } from 'node:timers/promises'
import { abortError } from '../engine/job.js'
import type { HubSettings } from './settings.js'

/** Tries before a failure that may pass counts as one that does not. */
export const tries = 5

/** Told before each wait. */
export interface HubWait {
  /** What went wrong: `https://huggingface.co answers 429`. */
  why: string
  seconds: number
  /** Tries that have been made, of those that will be. */
  attempt: number
  tries: number
}

/**
 * Seconds before the next try: twice as long each time, of which half is left to chance, so that the tasks of a
 * cluster do not come back together; or what the server asked for, and a little by chance.
 * @param attempt tries made so far, from 1
 */
export function waitAfter(
  attempt: number,
  { backoffSeconds }: Pick<HubSettings, 'backoffSeconds'>,
  asked?: number,
  random = Math.random,
): number {
  if (asked !== undefined) return asked + backoffSeconds * random()
  return backoffSeconds * 2 ** (attempt - 1) * (0.5 + 0.5 * random())
}

/** @throws an abort error when the signal comes first */
export async function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(seconds * 1000, undefined, { signal })
  } catch {
    throw abortError()
  }
}

/** Seconds that a server asks to be left alone: Retry-After, or what the hub says of its limit; undefined without. */
export function askedWait({ headers }: Response): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (!text) return resetOf(headers.get('ratelimit'))
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}

/** `"resolvers";r=0;t=55`: nothing is left, and in 55 seconds there is again. */
function resetOf(limit: string | null): number | undefined {
  const seconds = /;\s*t=(\d{1,9})/.exec(limit ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}
