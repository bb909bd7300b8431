/** The table and the pictures of results as files. */

import { join } from 'node:path'
import { check, checkOptions, writeFields } from '../check.js'
import { checkWritable, type WriteOptions, writeFilesAtomic } from '../files/write.js'
import { documentPage, htmlText } from '../report/document.js'
import { linePanels } from '../report/line-panels.js'
import { needleMap } from '../report/needle-map.js'
import { renderPng } from '../report/png.js'
import { checkResults, checkSummary } from './check.js'
import { accuracyPanels, needlePanels } from './pictures.js'
import type { SampleResult } from './record.js'
import type { SummaryRow } from './summary.js'
import { formatSummary, seriesName } from './table.js'

/**
 * Writes accuracy.md, .csv, .json, .svg, .png and .html, and with needle results needle.svg and .png; all or none.
 * @returns their paths
 * @throws InputError when one exists and force is not set
 */
export async function writeResultFiles(
  rows: readonly SummaryRow[],
  results: readonly SampleResult[],
  folder: string,
  options: WriteOptions = {},
): Promise<string[]> {
  checkSummary(rows, 1)
  checkResults(results)
  check(folder, 'folder', 'path')
  checkOptions(options, writeFields)
  const models = [...new Set(rows.map(({ model }) => model))].join(', ')
  const title = `Right answers of ${models} with part of the KV cache`
  const curves = linePanels(accuracyPanels(rows), { title })
  const panels = needlePanels(results)
  const needle =
    panels.length > 0 ? needleMap(panels, { title: `Needle in a haystack, ${models}` }) : undefined
  const files: [string, string | Uint8Array][] = [
    ['accuracy.md', formatSummary(rows, 'markdown')],
    ['accuracy.csv', formatSummary(rows, 'csv')],
    ['accuracy.json', formatSummary(rows, 'json')],
    ['accuracy.svg', curves],
    ['accuracy.png', renderPng(curves)],
    ['accuracy.html', page(title, [curves, ...(needle ? [needle] : [])], rows)],
    ...(needle
      ? ([
          ['needle.svg', needle],
          ['needle.png', renderPng(needle)],
        ] as [string, string | Uint8Array][])
      : []),
  ]
  const targets = files.map(([name, content]) => [join(folder, name), content] as const)
  for (const [path] of targets) await checkWritable(path, options)
  await writeFilesAtomic(targets, options)
  return targets.map(([path]) => path)
}

function page(title: string, pictures: readonly string[], rows: readonly SummaryRow[]): string {
  const figures = pictures.map((svg) => `<figure class="wide" tabindex="0">\n${svg}</figure>`)
  return documentPage(title, `${figures.join('\n')}\n<h2>As numbers</h2>\n${table(rows)}`)
}

function table(rows: readonly SummaryRow[]): string {
  const percent = (share: number | null): string => (share === null ? '' : (100 * share).toFixed(1))
  const heads = [
    'model',
    'data',
    'metric',
    'kept by',
    'ratio',
    'samples',
    'mean, %',
    '± se, %',
    'of full, %',
    'KV, %',
  ]
  const lines = rows.map((row) => [
    row.model,
    row.data,
    row.metric,
    seriesName(row),
    String(row.ratio),
    String(row.samples),
    percent(row.mean),
    percent(row.standardError),
    percent(row.relative),
    percent(row.effectiveKv),
  ])
  const cells = (each: string[]): string =>
    each.map((text, i) => `<td${i > 3 ? ' class="number"' : ''}>${htmlText(text)}</td>`).join('')
  return `<div class="scroll" tabindex="0"><table>
<tr>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr>
${lines.map((line) => `<tr>${cells(line)}</tr>`).join('\n')}
</table></div>`
}
