/** What may be asked together on one command line. */

import { InputError } from '../../errors.js'
import { asksForEviction, type EvictionArgs } from '../eviction.js'

export interface Choice extends EvictionArgs {
  query: string[]
  context: string | undefined
  cache: string | undefined
  saveCache: string | undefined
  force: boolean
  full: boolean
  compare: boolean
  interactive: boolean
  stream: boolean
  json: boolean
}

/** @throws InputError with one sentence on the first thing that does not go together */
export function checkChoice(choice: Choice): void {
  const { query, context, cache, saveCache, force, full, compare, interactive, stream, json } = choice
  if (cache !== undefined) checkCache(choice)
  else if (context === undefined)
    throw new InputError('--context must name a file to read; or --cache one that --save-cache wrote')
  if (query.length === 0 && !interactive && saveCache === undefined)
    throw new InputError('--query must ask something; or give --interactive to chat')
  if (full && (compare || asksForEviction(choice)))
    throw new InputError('--full evicts nothing: give it without options of eviction and --compare')
  if (cache === undefined && !full && choice.scores === undefined && (choice.level ?? 'head') === 'head')
    throw new InputError('--scores must name a file of head scores; or give --full to evict nothing')
  if (interactive && (compare || json))
    throw new InputError('--interactive is a chat over one cache: give it without --compare and --json')
  if (interactive && context === '-')
    throw new InputError('--interactive reads standard input itself: name a file with --context')
  if (stream && json) throw new InputError('--stream prints text as it comes: give it without --json')
  if (saveCache !== undefined && compare)
    throw new InputError('--save-cache saves one cache: give it without --compare')
  if (force && saveCache === undefined)
    throw new InputError('--force replaces the file that --save-cache names: give both')
}

/** What is in the file was read and evicted when it was saved. */
function checkCache(choice: Choice): void {
  const { context, saveCache, full, compare } = choice
  if (context !== undefined)
    throw new InputError('--cache holds a context that has been read already: give it without --context')
  if (saveCache !== undefined)
    throw new InputError('--cache and --save-cache exclude one another: a cache is saved when it is read')
  if (full || compare || asksForEviction(choice))
    throw new InputError(
      '--cache answers from what was kept when it was saved: give it without options of eviction, --full and --compare',
    )
}
