/** The report as one HTML page that needs nothing else: pictures, budget, numbers, where they come from. */

import { check } from '../check.js'
import { escapeText } from '../escape.js'
import { budgetOf } from '../scores/budget.js'
import { compareScores, overlapShares } from '../scores/compare.js'
import { rankHeads, type SelectionRule } from '../scores/select.js'
import { scoreCurve } from './curve.js'
import { differenceMap } from './difference.js'
import { heatmap } from './heatmap.js'
import { fontFaces } from './page-font.js'
import { type PageData, pageScript } from './page-script.js'
import { pageStyle } from './page-style.js'
import { budgetWords, escapeHtml, htmlTable, numberTable } from './page-tables.js'
import { mainPanel, type Panel, pairsOf, provenanceRows, sameHeads } from './panels.js'
import { layerProfile } from './profile.js'
import { agreementScatter, markKinds } from './scatter.js'
import { budgetHeader, budgetRowsAt, tableRatios } from './tables.js'

export interface PageOptions {
  /** share of heads kept when the page opens */
  ratio: number
  /** default `exact` */
  rule?: SelectionRule
  title?: string
  /** sink and recent tokens of a streaming head, for effective KV; default 128 and 256 */
  sink?: number
  recent?: number
  /** tokens in the cache, for effective KV; default the longest source's, unknown in imported files */
  tokens?: number
}

/** @returns an HTML document; the same panels and options give the same text */
export function reportPage(panels: readonly Panel[], options: PageOptions): string {
  check(options, 'options', 'object')
  const { ratio, rule = 'exact' } = options
  const svg = heatmap(panels, { ...options, id: 'heatmap', heading: false, interactive: true })
  sameHeads(panels)
  const { scores } = mainPanel(panels)
  const { budget } = budgetOf(scores, { ...options, rule })
  const title = options.title ?? `KV head scores of ${scores.provenance.model}`
  const others = budgetRowsAt(scores, tableRatios, { ...options, rule })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:">
<title>${escapeHtml(title)}</title>
<style>${fontFaces()}
${pageStyle}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p class="note">A head's score is the most attention that any cached token gets through it while the model repeats its
context. Heads with the lowest scores give up their context; crosses mark them.</p>
<div class="control">
<label for="hz-ratio">Share of heads kept</label>
<input id="hz-ratio" type="range" min="0.01" max="1" step="0.01" value="${ratio}">
<output for="hz-ratio">ratio <span id="hz-asked">${ratio}</span>: <span id="hz-kept">${budget.kept} of ${budget.total}</span></output>
<p id="hz-readout" role="status">Point at a head, or move there with the arrow keys, to read its score.</p>
</div>
<figure class="wide" id="hz-heatmap" tabindex="0" role="region" aria-label="Heatmaps">
${svg}</figure>
<h2>Budget</h2>
${budgetWords(budget)}
<details><summary>Other ratios</summary><div class="scroll" tabindex="0" role="region" aria-label="Budgets at other ratios">
${htmlTable(budgetHeader, others)}
</div></details>
<h2>Sorted scores</h2>
<figure tabindex="0" role="region" aria-label="Sorted scores">
${scoreCurve(panels, { ratio, rule, id: 'curve' })}</figure>
<h2>Layers</h2>
<figure tabindex="0" role="region" aria-label="Layers">
${layerProfile(panels, { ratio, rule, id: 'profile' })}</figure>
${pairsOf(panels)
  .map((pair, i) => pairSection(panels, pair, i, { ratio, rule }))
  .join('\n')}
<h2>Where the numbers come from</h2>
${htmlTable(
  null,
  provenanceRows(scores).map(([name, value]) => [name, value === '' ? 'unknown' : value]),
)}
<h2>Scores as numbers</h2>
${panels.map(numberTable).join('\n')}
</main>
<script type="application/json" id="hz-data">${escapeText(JSON.stringify(pageData(panels, options))).replaceAll('<', '\\u003c')}</script>
<script>${pageScript}</script>
</body>
</html>
`
}

function pageData(panels: readonly Panel[], options: PageOptions): PageData {
  const { rule = 'exact' } = options
  const main = mainPanel(panels)
  const { budget } = budgetOf(main.scores, { ...options, rule })
  return {
    rule,
    sink: budget.sink,
    recent: budget.recent,
    tokens: budget.tokens,
    kvHeads: main.scores.kvHeads,
    layerIds: Array.from(main.scores.layerIds),
    main: panels.indexOf(main),
    panels: panels.map(({ name, scores }) => {
      const order = Array.from(rankHeads(scores))
      return { name, order, scores: order.map((cell) => Number(scores.max[cell]!.toPrecision(9))) }
    }),
    pairs: pairsOf(panels),
    kinds: [...markKinds],
  }
}

function pairSection(
  panels: readonly Panel[],
  pair: { a: number; b: number },
  index: number,
  options: { ratio: number; rule: SelectionRule },
): string {
  const [a, b] = [panels[pair.a]!, panels[pair.b]!]
  const { spearman, kendall, overlap } = compareScores(a.scores, b.scores, options)
  const names = `${a.name} and ${b.name}`
  const numbers = [
    spearman.toFixed(3),
    kendall.toFixed(3),
    ...overlap.map((share) => `${(100 * share).toFixed(1)}%`),
  ]
  const header = ['Spearman', 'Kendall', ...overlapShares.map((share) => `top ${share} shared`)]
  return `<section id="pair-${index}">
<h2>${escapeHtml(names)}</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Agreement of ${escapeHtml(names)}">
${htmlTable(header, [numbers])}
</div>
<figure class="wide" tabindex="0" role="region" aria-label="Difference of ${escapeHtml(names)}">
${differenceMap(a, b, { ...options, id: `difference-${index}`, interactive: true })}</figure>
<figure tabindex="0" role="region" aria-label="Agreement of ${escapeHtml(names)}, head by head">
${agreementScatter(a, b, { ...options, id: `scatter-${index}` })}</figure>
</section>`
}
