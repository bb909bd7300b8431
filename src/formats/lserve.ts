/**
 * What LServe expects of a DuoAttention folder: it serves from KV pages of 64 tokens, so that the sink and recent
 * windows of a streaming head are whole pages.
 */

import type { HeadScores } from '../scores/head-scores.js'
import { type DuoOptions, noThreshold, streamingStatement, writePattern } from './duo.js'
import type { Exported } from './foreign.js'

const pageTokens = 64

export async function exportLserve(
  scores: HeadScores,
  dir: string,
  options: DuoOptions = {},
): Promise<Exported> {
  const { sink = 128, recent = 256 } = options
  const [wholeSink, wholeRecent] = [wholePages(sink), wholePages(recent)]
  const { files, warnings } = await writePattern(
    scores,
    dir,
    { ...options, sink: wholeSink, recent: wholeRecent },
    {},
  )
  if (wholeSink !== sink || wholeRecent !== recent)
    warnings.push(
      `sink ${sink} and recent ${recent} became ${wholeSink} and ${wholeRecent}: whole pages of ${pageTokens} tokens`,
    )
  return {
    files,
    warnings,
    windows: { sink: wholeSink, recent: wholeRecent },
    statement:
      `${streamingStatement(wholeSink, wholeRecent)} ${noThreshold} LServe calls it static sparsity and keeps heads at ` +
      'or above the quantile; its page selection within kept heads is its own.',
  }
}

/** Anything that is not a positive number is left for the pattern's own check. */
function wholePages(tokens: number): number {
  return tokens > 0 ? Math.ceil(tokens / pageTokens) * pageTokens : tokens
}
