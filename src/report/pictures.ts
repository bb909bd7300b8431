/** Every picture that a report can show, each complete in itself, by the name of its file. */

import { check } from '../check.js'
import { InputError } from '../errors.js'
import type { BudgetOptions } from '../scores/budget.js'
import { scoreCurve } from './curve.js'
import { differenceMap } from './difference.js'
import { checkPanels, mainPanel, type Panel, pairsOf } from './panels.js'
import { layerProfile } from './profile.js'
import { agreementScatter } from './scatter.js'
import { budgetTable, provenanceBlock } from './tables.js'

/** @returns [file name without ending, SVG document]; differences and scatters of the pairs worth comparing */
export function pictures(panels: readonly Panel[], options: BudgetOptions): [name: string, svg: string][] {
  checkPanels(panels)
  check(options, 'options', 'object')
  if (panels.length === 0) throw new InputError('nothing to draw: no scores were given')
  const { ratio, ...budget } = options
  const shared = { ratio, ...(options.rule && { rule: options.rule }) }
  const { scores } = mainPanel(panels)
  const pairs = pairsOf(panels).flatMap(({ a, b }): [string, string][] => {
    const name = panels[b]!.pattern ? 'pattern' : 'sources'
    return [
      [`difference-${name}`, differenceMap(panels[a]!, panels[b]!, { ...shared, id: `difference-${name}` })],
      [`agreement-${name}`, agreementScatter(panels[a]!, panels[b]!, { ...shared, id: `agreement-${name}` })],
    ]
  })
  return [
    ['curve', scoreCurve(panels, shared)],
    ['layers', layerProfile(panels, shared)],
    ...pairs,
    ['budget', budgetTable(scores, budget)],
    ['provenance', provenanceBlock(scores)],
  ]
}
