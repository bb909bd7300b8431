/** What a report shows: a panel a data set and one for the merged scores, all of the same heads. */

import { InputError } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import { mergeScores } from '../scores/merge.js'
import { sourceLabel } from '../scores/verify.js'

export interface Panel {
  name: string
  scores: HeadScores
}

/**
 * Panels of single sources in the order given, the merged scores last. Merged scores among the input are taken as
 * they are; without any, two and more sources are merged here.
 * @throws InputError when the scores do not belong together
 */
export function panelsOf(list: readonly HeadScores[]): Panel[] {
  if (list.length === 0) throw new InputError('nothing to report: no scores were given')
  const singles = list.filter((scores) => scores.provenance.sources.length === 1)
  const merged = list.filter((scores) => scores.provenance.sources.length > 1)
  if (merged.length === 0 && singles.length > 1) merged.push(mergeScores(singles))
  const panels = [
    ...singles.map((scores) => ({ name: sourceLabel(scores), scores })),
    ...merged.map((scores) => ({ name: 'merged maximum', scores })),
  ]
  sameHeads(panels)
  return panels
}

/** @throws InputError unless every panel scores the same layers and KV heads */
export function sameHeads(panels: readonly Panel[]): void {
  const first = panels[0]
  for (const panel of panels)
    if (
      first &&
      (panel.scores.kvHeads !== first.scores.kvHeads ||
        panel.scores.layerIds.join() !== first.scores.layerIds.join())
    )
      throw new InputError(
        `${first.name} (${first.scores.layers} x ${first.scores.kvHeads}) and ${panel.name} ` +
          `(${panel.scores.layers} x ${panel.scores.kvHeads}) do not score the same heads`,
      )
}

/** What one line can say of where scores come from; unknown parts are left out. */
export function provenanceLine({ provenance, positions }: HeadScores): string {
  const { model, modelHash, sources, method, sweep, chunkSize, arithmetic, engineVersion, created } =
    provenance
  return [
    `model ${model}${modelHash ? ` (${modelHash.slice(0, 12)})` : ''}`,
    sources
      .map(({ data, index, tokens }) => `${data}-${index}${tokens ? ` (${tokens} tokens)` : ''}`)
      .join(' + '),
    `method ${method}${sweep ? `, sweep ${sweep}` : ''}${chunkSize ? `, chunks of ${chunkSize}` : ''}`,
    positions ? `${positions} positions` : '',
    arithmetic,
    engineVersion ? `headzip ${engineVersion}` : '',
    created.slice(0, 10),
  ]
    .filter((part) => part !== '')
    .join(' · ')
}
