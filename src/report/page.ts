/** The report as one HTML page that needs nothing else: pictures, budget, numbers, where they come from. */

import { type Budget, budget, budgetRows } from '../scores/budget.js'
import type { HeadScores } from '../scores/head-scores.js'
import { rankHeads, type SelectionRule, selectHeads } from '../scores/select.js'
import { scoreCurve } from './curve.js'
import { heatmap } from './heatmap.js'
import { type PageData, pageScript } from './page-script.js'
import { pageStyle } from './page-style.js'
import { type Panel, sameHeads } from './panels.js'
import { plain } from './svg.js'

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
  const { ratio, rule = 'exact', sink = 128, recent = 256 } = options
  const svg = heatmap(panels, { ...options, id: 'heatmap', heading: false, interactive: true })
  const curve = scoreCurve(panels, { ratio, rule, id: 'curve' })
  sameHeads(panels)
  const { scores } = panels.at(-1)!
  const longest = Math.max(...scores.provenance.sources.map((source) => source.tokens))
  const tokens = options.tokens ?? (longest > 0 ? longest : null)
  const words = budget({ keep: selectHeads(scores, { ratio, rule }).keep, ratio, sink, recent, tokens })
  const data: PageData = {
    rule,
    sink,
    recent,
    tokens,
    panels: panels.map((panel) => {
      const order = Array.from(rankHeads(panel.scores))
      return { order, scores: order.map((cell) => Number(panel.scores.max[cell]!.toPrecision(9))) }
    }),
  }
  const title = options.title ?? `KV head scores of ${scores.provenance.model}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p class="note">A head's score is the most attention that any cached token gets through it while the model repeats its
context. Heads with the lowest scores give up their context; crosses mark them.</p>
<div class="control">
<label for="hz-ratio">Share of heads kept</label>
<input id="hz-ratio" type="range" min="0.01" max="1" step="0.01" value="${ratio}">
<output for="hz-ratio">ratio <span id="hz-asked">${ratio}</span>: <span id="hz-kept">${words.kept} of ${words.heads}</span></output>
</div>
<figure class="wide" tabindex="0">
${svg}</figure>
<h2>Budget</h2>
${budgetTable(words)}
<h2>Sorted scores</h2>
<figure tabindex="0">
${curve}</figure>
<h2>Where the numbers come from</h2>
${provenanceTable(scores)}
<h2>Scores as numbers</h2>
${panels.map(numberTable).join('\n')}
</main>
<script type="application/json" id="hz-data">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>
<script>${pageScript}</script>
</body>
</html>
`
}

/** Ids by row of `budgetRows`, for the script to keep the values up to date. */
const budgetIds = ['hz-ratio-value', 'hz-sparsity', 'hz-compression', 'hz-effective']

function budgetTable(words: Budget): string {
  const rows = budgetRows(words).map(
    ([word, value], i) =>
      `<tr><th scope="row">${word}</th><td class="number" id="${budgetIds[i]}">${value.trim()}</td><td>${budgetMeanings(words)[i]}</td></tr>`,
  )
  return `<table>\n${rows.join('\n')}\n</table>`
}

/** Without the counts, which would have to move with the slider. */
function budgetMeanings({ sink, recent, tokens }: Budget): string[] {
  const at = tokens === null ? 'the context length is not known' : `at ${tokens} tokens`
  return [
    'share of KV heads that keep their context (KVzip, headzip)',
    'share of KV heads made streaming (DuoAttention, LServe)',
    `share of the cache removed (kvpress), ${at}`,
    `share of the cache's bytes kept, ${sink} sink and ${recent} recent tokens a streaming head`,
  ]
}

function provenanceTable({ provenance, positions }: HeadScores): string {
  const rows: [string, string][] = [
    ['model', provenance.model],
    ['model hash', provenance.modelHash],
    [
      'sources',
      provenance.sources
        .map(({ data, index, tokens }) => `${data}-${index}${tokens ? ` (${tokens} tokens)` : ''}`)
        .join(', '),
    ],
    ['positions', positions ? String(positions) : ''],
    ['method', provenance.method],
    ['sweep', provenance.sweep],
    ['chunk size', provenance.chunkSize ? String(provenance.chunkSize) : ''],
    ['arithmetic', provenance.arithmetic],
    ['headzip', provenance.engineVersion],
    ['created', provenance.created],
  ]
  const lines = rows.map(
    ([name, value]) =>
      `<tr><th scope="row">${name}</th><td>${value === '' ? 'unknown' : escapeHtml(value)}</td></tr>`,
  )
  return `<table>\n${lines.join('\n')}\n</table>`
}

function numberTable({ name, scores }: Panel): string {
  const heads = Array.from({ length: scores.kvHeads }, (_, head) => `<th scope="col">head ${head}</th>`).join(
    '',
  )
  const rows = Array.from(scores.layerIds, (layer, row) => {
    const values = scores.max.subarray(row * scores.kvHeads, (row + 1) * scores.kvHeads)
    const cells = Array.from(values, (value) => `<td class="number">${value.toFixed(4)}</td>`).join('')
    return `<tr><th scope="row">layer ${layer}</th>${cells}</tr>`
  })
  return `<details><summary>${escapeHtml(name)}</summary><div class="scroll" tabindex="0"><table>
<tr><td></td>${heads}</tr>
${rows.join('\n')}
</table></div></details>`
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return plain(text).replace(/[&<>"']/g, (sign) => entities[sign]!)
}
