import { mkdtemp, readdir, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { D3Node } from 'd3-node'
import { describe, expect, test } from 'vitest'
import { importKvzip } from '../../src/formats/kvzip-pt.js'
import { reportPage } from '../../src/report/page.js'
import { pageScript } from '../../src/report/page-script.js'
import { panelsOf } from '../../src/report/panels.js'
import { writeReport } from '../../src/report/report.js'
import { makeScores, nanoLike } from '../scores/make.js'

const published = 'test/fixtures/published/kvzip'
const list = [nanoLike('sample_qa_eng', 0), nanoLike('sample_repoqa', 1)]
const qwen = [
  await importKvzip(`${published}/qwen2.5-7b-scbench_qa_eng-0.pt`),
  await importKvzip(`${published}/qwen2.5-7b-scbench_repoqa-0.pt`),
]

interface Element {
  textContent: string
  value: string
  getAttribute(name: string): string | null
  dispatchEvent(event: unknown): void
}
interface PageDocument {
  getElementById(id: string): Element
  querySelectorAll(selector: string): Iterable<Element>
  createEvent(kind: string): { initEvent(name: string): void }
}

/** The page as a browser's document, with its script run. */
function open(html: string): { document: PageDocument; move: (ratio: number) => void } {
  const { document } = new D3Node({ container: html }) as unknown as { document: PageDocument }
  new Function('document', pageScript)(document)
  const slider = document.getElementById('hz-ratio')
  const move = (ratio: number) => {
    slider.value = String(ratio)
    const event = document.createEvent('Event')
    event.initEvent('input')
    slider.dispatchEvent(event)
  }
  return { document, move }
}
const crosses = (document: PageDocument) =>
  Array.from(document.querySelectorAll('#hz-heatmap .hz-cell .hz-mark')).filter(
    (mark) => mark.getAttribute('visibility') !== 'hidden',
  ).length
const texts = (document: PageDocument, ...ids: string[]) =>
  ids.map((id) => document.getElementById(id).textContent)

describe('the page', () => {
  test('needs nothing from anywhere', () => {
    const html = reportPage(panelsOf(list), { ratio: 0.6 })
    expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|src=|@import|url\((?!#|data:font)/,
    )
    expect(html).toContain("default-src 'none'")
  })

  test('is the same text every time', () => {
    expect(reportPage(panelsOf(list), { ratio: 0.6 })).toBe(reportPage(panelsOf(list), { ratio: 0.6 }))
  })

  test('opens at the ratio it was made for, the numbers of script and library alike', () => {
    const html = reportPage(panelsOf(list), { ratio: 0.6 })
    const ids = ['hz-asked', 'hz-kept', 'hz-ratio-value', 'hz-sparsity', 'hz-compression', 'hz-effective']
    const still = (new D3Node({ container: html }) as unknown as { document: PageDocument }).document
    const { document } = open(html)
    // 14 of 24 heads; the ten others keep 384 of 6,000 tokens
    expect(texts(document, ...ids)).toEqual(['0.6', '14 of 24', '0.5833', '0.4167', '0.3900', '0.6100'])
    expect(texts(still, ...ids)).toEqual(texts(document, ...ids))
    expect([crosses(still), crosses(document)]).toEqual([30, 30])
  })

  test('marks other heads and counts again when the slider moves', () => {
    const { document, move } = open(reportPage(panelsOf(qwen), { ratio: 0.6 }))
    expect(crosses(document)).toBe(3 * 45)
    move(0.25)
    expect(crosses(document)).toBe(3 * 84)
    expect(texts(document, 'hz-kept', 'hz-sparsity', 'hz-effective')).toEqual(['28 of 112', '0.7500', '-'])
    move(1)
    expect(crosses(document)).toBe(0)
  })

  test('follows the published rule to its end', () => {
    const { document, move } = open(reportPage(panelsOf(qwen), { ratio: 0.6, rule: 'published' }))
    move(0.25)
    expect(texts(document, 'hz-kept')).toEqual(['0 of 112'])
    move(1)
    expect(texts(document, 'hz-kept')).toEqual(['112 of 112'])
  })

  test('shows names as text, whatever they hold', () => {
    const evil = makeScores({ provenance: { model: '</script><script>alert(1)</script>' } })
    const html = reportPage(panelsOf([evil]), { ratio: 0.5 })
    expect(html).not.toContain('<script>alert')
    expect(html).toContain(
      '<title>KV head scores of &lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;</title>',
    )
  })

  test('says where the numbers come from', () => {
    const html = reportPage(panelsOf(list), { ratio: 0.6 })
    expect(html).toContain('<td>sample_qa_eng-0 (6000 tokens), sample_repoqa-0 (6000 tokens)</td>')
    expect(reportPage(panelsOf(qwen), { ratio: 0.6 })).toContain(
      '<th scope="row">model hash</th><td>unknown</td>',
    )
  })
})

describe('writing a report', () => {
  test('makes three files, none over another, all or nothing', async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'headzip-report-')), 'nano')
    const paths = await writeReport(list, folder)
    expect((await readdir(folder)).sort()).toEqual(['heatmap.png', 'heatmap.svg', 'index.html'])
    expect(await readFile(paths.svg, 'utf8')).toContain('evicted at ratio 0.6')
    await expect(writeReport(list, folder)).rejects.toThrow(/heatmap\.svg exists; pass --force to replace it/)
    const before = await stat(paths.png)
    await writeReport(list, folder, { force: true, ratio: 0.3 })
    expect(await readFile(paths.svg, 'utf8')).toContain('evicted at ratio 0.3')
    expect((await stat(paths.png)).ino).not.toBe(before.ino)
  })

  test('of a ratio that is none writes nothing', async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'headzip-report-')), 'none')
    await expect(writeReport(list, folder, { ratio: 1.5 })).rejects.toThrow(
      'ratio must be a number in (0, 1], got 1.5',
    )
    await expect(readdir(folder)).rejects.toThrow('ENOENT')
  })
})
