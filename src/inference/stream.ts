/** An answer as an async iterable of text. */

import { check, checkOptions, jobFields } from '../check.js'
import type { GenerateOptions, Generation } from './generate.js'
import type { Model } from './model.js'

export type StreamOptions = Omit<GenerateOptions, 'onText'>

/**
 * Yields text as it comes and returns the whole generation. A slow reader gets everything that has come meanwhile in
 * one piece; what waits for it is at most the answer. The engine does not wait for readers, so that one of them cannot
 * hold up the others. Leaving the loop early aborts the job, and the cache is as before.
 */
export async function* streamText(
  model: Model,
  query: string,
  options: StreamOptions,
): AsyncGenerator<string, Generation, void> {
  check(query, 'query', 'string')
  checkOptions(options, jobFields)
  const abort = new AbortController()
  const follow = (): void => abort.abort()
  if (options.signal?.aborted) follow()
  options.signal?.addEventListener('abort', follow, { once: true })
  let waiting = ''
  let wake = (): void => {}
  let over = false
  const job = model
    .generate(query, {
      ...options,
      signal: abort.signal,
      onText: (text) => {
        waiting += text
        wake()
      },
    })
    .finally(() => {
      over = true
      wake()
    })
  // Whoever leaves early never looks at the job's end.
  job.catch(() => {})
  try {
    for (;;) {
      if (waiting !== '') {
        const text = waiting
        waiting = ''
        yield text
      } else if (over) {
        return await job
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    options.signal?.removeEventListener('abort', follow)
    if (!over) {
      abort.abort()
      // The cache is free again when the loop is left.
      await job.catch(() => {})
    }
  }
}
