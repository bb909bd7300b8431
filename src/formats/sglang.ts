/**
 * HeadKV-SGLang's pattern: DuoAttention's folder whose config.json also names the windows to deploy
 * (`deploy_sink_size`, `deploy_recent_size`) and a `threshold`, at and above which a head is kept.
 */

import type { HeadScores } from '../scores/head-scores.js'
import { rankHeads, type SelectionRule, selectHeads } from '../scores/select.js'
import { type DuoOptions, streamingStatement, writePattern } from './duo.js'
import type { Exported } from './foreign.js'
import { printMatrix } from './matrix-text.js'
import { checkTies } from './ties.js'

export interface SglangOptions extends DuoOptions {
  /** share of heads that the threshold keeps; default 0.6 */
  ratio?: number
  rule?: SelectionRule
}

export async function exportSglang(
  scores: HeadScores,
  dir: string,
  options: SglangOptions = {},
): Promise<Exported> {
  const { sink = 128, recent = 256, ratio = 0.6, rule = 'exact' } = options
  const { kept } = selectHeads(scores, { ratio, rule })
  const { threshold, keeps } = thresholdFor(scores, kept, options)
  const { files, warnings } = await writePattern(scores, dir, options, {
    deploy_sink_size: sink,
    deploy_recent_size: recent,
    threshold,
  })
  if (keeps !== kept)
    warnings.push(`the threshold keeps ${keeps} heads, not ${kept}: equal values fall on the same side of it`)
  return {
    files,
    warnings,
    statement:
      `${streamingStatement(sink, recent)} Its threshold keeps what ratio ${ratio} keeps over all layers; its ` +
      '--headkv-full-head-ratio instead keeps the same number of heads in every layer, which these scores do not mean.',
  }
}

/** Halfway between the last head kept and the first one evicted, in the values that are written. */
function thresholdFor(
  scores: HeadScores,
  kept: number,
  options: SglangOptions,
): { threshold: number; keeps: number } {
  const { values } = printMatrix(scores, checkTies(options.ties ?? 'separate'), options.modelLayers)
  const sorted = Array.from(rankHeads(scores), (cell) => values[cell]!)
  const lowest = sorted[kept - 1] ?? 2
  const next = sorted[kept] ?? -1
  const threshold = kept === 0 ? 2 : Number(((lowest + next) / 2).toPrecision(9))
  return { threshold, keeps: values.filter((value) => value >= threshold).length }
}
