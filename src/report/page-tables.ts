/** Tables of the report's page, and text made safe for HTML. */

import { type Budget, budgetRows } from '../scores/budget.js'
import type { Panel } from './panels.js'
import { plain } from './svg.js'

/** @param header null where the first cell of each row is its name */
export function htmlTable(header: readonly string[] | null, rows: readonly (readonly string[])[]): string {
  const head = header
    ? `<tr>${header.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('')}</tr>\n`
    : ''
  const lines = rows.map((row) => {
    const cells = row.map((text, i) =>
      !header && i === 0
        ? `<th scope="row">${escapeHtml(text)}</th>`
        : `<td${header ? ' class="number"' : ''}>${escapeHtml(text)}</td>`,
    )
    return `<tr>${cells.join('')}</tr>`
  })
  return `<table>\n${head}${lines.join('\n')}\n</table>`
}

/** Ids by row of `budgetRows`, for the script to keep the values up to date. */
const budgetIds = ['hz-ratio-value', 'hz-sparsity', 'hz-compression', 'hz-effective']

/** The four words. */
export function budgetWords(words: Budget): string {
  const meanings = meaningsOf(words)
  const rows = budgetRows(words).map(
    ([word, value], i) =>
      `<tr><th scope="row">${word}</th><td class="number" id="${budgetIds[i]}">${value.trim()}</td><td>${meanings[i]}</td></tr>`,
  )
  return `<table>\n${rows.join('\n')}\n</table>`
}

/** Without the counts, which would have to move with the slider. */
function meaningsOf({ sink, recent, tokens }: Budget): string[] {
  const at = tokens === null ? 'the context length is not known' : `at ${tokens} tokens`
  return [
    'share of KV heads that keep their context (KVzip, headzip)',
    'share of KV heads made streaming (DuoAttention, LServe)',
    `share of the cache removed (kvpress), ${at}`,
    `share of the cache's bytes kept, ${sink} sink and ${recent} recent tokens a streaming head`,
  ]
}

export function numberTable({ name, scores }: Panel): string {
  const heads = Array.from({ length: scores.kvHeads }, (_, head) => `<th scope="col">head ${head}</th>`).join(
    '',
  )
  const rows = Array.from(scores.layerIds, (layer, row) => {
    const values = scores.max.subarray(row * scores.kvHeads, (row + 1) * scores.kvHeads)
    const cells = Array.from(values, (value) => `<td class="number">${value.toFixed(4)}</td>`).join('')
    return `<tr><th scope="row">layer ${layer}</th>${cells}</tr>`
  })
  const label = escapeHtml(name)
  return `<details><summary>${label}</summary><div class="scroll" tabindex="0" role="region" aria-label="Scores of ${label}"><table>
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

export function escapeHtml(text: string): string {
  return plain(text).replace(/[&<>"']/g, (sign) => entities[sign]!)
}
