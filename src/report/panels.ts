/** What a report shows: a panel a data set and one for the merged scores, all of the same heads. */

import { checkEach, checkFields, type Fields } from '../check.js'
import { InputError } from '../errors.js'
import { checkScores } from '../scores/check.js'
import type { HeadScores } from '../scores/head-scores.js'
import { mergeScores } from '../scores/merge.js'
import { sourceLabel } from '../scores/verify.js'

export interface Panel {
  name: string
  scores: HeadScores
  /** a pattern of other origin to compare with: it is drawn, but the budget is not its */
  pattern?: boolean
}

/** The panel that the budget is of: the merged scores, where there are several. */
export function mainPanel(panels: readonly Panel[]): Panel {
  return panels.findLast((panel) => !panel.pattern) ?? panels.at(-1)!
}

/**
 * Panels of single sources in the order given, the merged scores last. Merged scores among the input are taken as
 * they are; without any, two and more sources are merged here.
 * @param against scores of another method, drawn last
 * @throws InputError when the scores do not belong together
 */
export function panelsOf(list: readonly HeadScores[], against?: HeadScores): Panel[] {
  checkEach(list, 'list', checkScores, 0)
  if (against !== undefined) checkScores(against, 'against')
  if (list.length === 0) throw new InputError('nothing to report: no scores were given')
  const singles = list.filter((scores) => scores.provenance.sources.length === 1)
  const merged = list.filter((scores) => scores.provenance.sources.length > 1)
  if (merged.length === 0 && singles.length > 1) merged.push(mergeScores(singles))
  const panels: Panel[] = [
    ...singles.map((scores) => ({ name: sourceLabel(scores), scores })),
    ...merged.map((scores) => ({ name: 'merged maximum', scores })),
    ...(against
      ? [
          {
            name: `${against.provenance.method}: ${against.provenance.model}`,
            scores: against,
            pattern: true,
          },
        ]
      : []),
  ]
  sameHeads(panels)
  return panels
}

/** Panels worth comparing head by head: two single sources with one another, the main panel with a pattern. */
export function pairsOf(panels: readonly Panel[]): { a: number; b: number }[] {
  const singles = [...panels.keys()].filter(
    (i) => !panels[i]!.pattern && panels[i]!.scores.provenance.sources.length === 1,
  )
  const pattern = panels.findIndex((panel) => panel.pattern)
  const main = panels.indexOf(mainPanel(panels))
  return [
    ...(singles.length === 2 ? [{ a: singles[0]!, b: singles[1]! }] : []),
    ...(pattern >= 0 && pattern !== main ? [{ a: main, b: pattern }] : []),
  ]
}

/** @throws TypeError or RangeError for what is no list of panels; an empty one is refused by who draws it */
export function checkPanels(value: unknown): void {
  checkEach(value, 'panels', checkPanel, 0)
}

export function checkPanel(value: unknown, name: string): void {
  checkFields(value, name, { name: 'string', pattern: 'flag?' })
  checkScores((value as Panel).scores, `${name}.scores`)
}

/** Of every picture: a ratio is required where heads are crossed out, and has words of its own. */
export const pictureFields = { title: 'string?', id: 'text?', rule: 'string?' } as const satisfies Fields

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

/** name, value; an empty value is unknown */
export function provenanceRows({ provenance, positions }: HeadScores): [string, string][] {
  const { model, modelHash, modelLayers, sources, method, sweep, chunkSize } = provenance
  return [
    ['model', model],
    ['model hash', modelHash],
    ...(modelLayers ? [['layers', String(modelLayers)] as [string, string]] : []),
    [
      'sources',
      sources
        .map(({ data, index, tokens }) => `${data}-${index}${tokens ? ` (${tokens} tokens)` : ''}`)
        .join(', '),
    ],
    ['positions', positions ? String(positions) : ''],
    ['method', method],
    ['sweep', sweep],
    ['chunk size', chunkSize ? String(chunkSize) : ''],
    ['arithmetic', provenance.arithmetic],
    ['headzip', provenance.engineVersion],
    ['created', provenance.created],
  ]
}
