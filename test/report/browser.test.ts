import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAnyScores } from '../../src/formats/detect.js'
import { reportPage } from '../../src/report/page.js'
import { panelsOf } from '../../src/report/panels.js'
import { makeScores } from '../scores/make.js'
import { browserRequired, chromiumPath, differenceTo, shrunk } from './browser.js'

const published = 'test/fixtures/published'
const read = (name: string) => readAnyScores(`${published}/${name}`)
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const folder = await mkdtemp(join(tmpdir(), 'headzip-browser-'))

/** As large as a model of 70B: 80 x 8, some saturated. */
const large = makeScores({
  layers: 80,
  kvHeads: 8,
  layerIds: Int32Array.from({ length: 80 }, (_, layer) => layer),
  max: Float32Array.from({ length: 640 }, (_, i) => Math.min(1, Math.abs(Math.sin((i + 1) * 1.7)) * 1.15)),
  mean: null,
  p99: null,
  positions: 0,
  provenance: { model: 'Large-70B', sources: [{ data: 'own', index: 0, tokens: 32_000 }] },
})
const pages = {
  '28x4': panelsOf([
    await read('kvzip/qwen2.5-7b-scbench_qa_eng-0.pt'),
    await read('kvzip/qwen2.5-7b-scbench_repoqa-0.pt'),
  ]),
  '48x8': panelsOf([await read('kvzip/qwen2.5-14b-scbench_qa_eng-0.pt')]),
  '80x8': panelsOf([large]),
  pattern: panelsOf(
    [await read('kvzip/llama3.1-8b-scbench_qa_eng-0.pt')],
    await read('duo/Meta-Llama-3.1-8B-Instruct'),
  ),
}
type Name = keyof typeof pages
const names = Object.keys(pages) as Name[]
const sizes = ['28x4', '48x8', '80x8'] as const
const themes = ['light', 'dark'] as const

const skipped = !chromiumPath && !browserRequired
const why = skipped ? ' (skipped: no chromium in /usr/bin; CHROMIUM names one elsewhere)' : ''
describe.skipIf(skipped)(`the report in a browser${why}`, () => {
  let browser: Browser
  const errors: string[] = []

  beforeAll(async () => {
    if (!chromiumPath)
      throw new Error('HEADZIP_BROWSER_TESTS=required, and no chromium is in /usr/bin; CHROMIUM names one')
    for (const name of names)
      await writeFile(join(folder, `${name}.html`), reportPage(pages[name], { ratio: 0.6 }))
    browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] })
  })
  afterAll(() => browser?.close())

  async function open(
    name: Name,
    theme: 'light' | 'dark' = 'light',
    viewport = { width: 1200, height: 900 },
  ): Promise<Page> {
    const page = await browser.newPage({ viewport, colorScheme: theme })
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) errors.push(message.text())
    })
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) errors.push(`asked for ${request.url()}`)
    })
    await page.goto(`file://${join(folder, `${name}.html`)}`)
    await page.evaluate('document.fonts.ready.then(() => true)')
    return page
  }
  const crosses = (page: Page, root: string) =>
    page.locator(`${root} .hz-cell .hz-mark:not([visibility="hidden"])`).count()
  const text = (page: Page, selector: string) => page.locator(selector).textContent()

  test('moves every mark and number with the slider, by keyboard', async () => {
    const page = await open('pattern')
    expect(await crosses(page, '#hz-heatmap')).toBe(2 * 102)
    expect(await crosses(page, '#pair-0')).toBe(74)
    expect(await text(page, '#hz-kept')).toBe('154 of 256')
    const bar = () => page.locator('.hz-bar').first().getAttribute('height')
    const before = await bar()

    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.id')).toBe('hz-ratio')
    for (let i = 0; i < 35; i++) await page.keyboard.press('ArrowLeft')
    expect(await page.locator('#hz-ratio').inputValue()).toBe('0.25')
    expect(await crosses(page, '#hz-heatmap')).toBe(2 * 192)
    expect(await text(page, '#hz-kept')).toBe('64 of 256')
    expect(await text(page, '#hz-sparsity')).toBe('0.7500')
    expect(await text(page, '#hz-heatmap [data-hz-asked]')).toBe('evicted at ratio 0.25')
    expect(await bar()).not.toBe(before)
    // 48.4% of the top quarter is shared: 33 heads on each side are not
    expect(await crosses(page, '#pair-0')).toBe(66)
    expect(await text(page, '#pair-0 .hz-panel-sides, #pair-0 text[data-hz-sides] >> nth=0')).toContain(
      '66 of 256 change',
    )
    expect(await page.locator('#pair-0 .hz-kind-1').count()).toBe(33 + 1)
    await page.close()
  })

  test('reads heads to those who use the keyboard', async () => {
    const page = await open('28x4')
    const first = pages['28x4'][0]!.scores.max[0]!
    for (let i = 0; i < 3; i++) await page.keyboard.press('Tab')
    expect(await text(page, '#hz-readout')).toBe(
      `scbench_qa_eng-0, layer 0, KV head 0: ${first.toFixed(4)}, kept`,
    )
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowDown')
    expect(await text(page, '#hz-readout')).toMatch(/^scbench_qa_eng-0, layer 1, KV head 1: /)
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('ArrowUp')
    expect(await text(page, '#hz-readout')).toMatch(/layer 1, KV head 0: /)
    await page.keyboard.press('Tab')
    expect(await text(page, '#hz-readout')).toMatch(/^scbench_repoqa-0, layer 0, KV head 0: /)
    await page.close()
  })

  test('reads the head under the pointer', async () => {
    const page = await open('48x8')
    await page
      .locator('#hz-heatmap .hz-cell')
      .nth(8 * 5 + 2)
      .hover()
    expect(await text(page, '#hz-readout')).toMatch(
      /^scbench_qa_eng-0, layer 5, KV head 2: \d\.\d{4}, (kept|evicted)$/,
    )
    await page.close()
  })

  // Thousands of alike cells, dots and bars are left out: they take axe ten seconds a page.
  test.each([
    ['28x4', 'light'],
    ['80x8', 'dark'],
    ['pattern', 'dark'],
    ['pattern', 'light'],
  ] as const)('has no serious accessibility issue: %s, %s', async (name, theme) => {
    const page = await open(name, theme)
    await page.evaluate(await readFile(axe, 'utf8'))
    const found = (await page.evaluate(
      `axe.run({ exclude: [['.hz-cell'], ['[data-hz-dot]'], ['.hz-bar']] })`,
    )) as {
      violations: { id: string; impact: string; nodes: { html: string }[] }[]
    }
    const serious = found.violations
      .filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)}`)
    expect(serious).toEqual([])
    await page.close()
  })

  test.each(sizes.flatMap((size) => themes.map((theme) => [size, theme] as const)))(
    'looks as it did when it was last looked at: %s, %s',
    async (size, theme) => {
      const page = await open(size, theme)
      const picture = shrunk(await page.screenshot())
      const { mean, clearly } = await differenceTo(`test/report/screenshots/${size}-${theme}.png`, picture)
      expect(mean).toBeLessThan(2)
      expect(clearly).toBeLessThan(0.005)
      await page.close()
    },
  )

  test('fits a telephone: nothing but figures and tables scrolls sideways', async () => {
    const page = await open('80x8', 'light', { width: 390, height: 800 })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
    await page.close()
  })

  test('prints light, without the slider', async () => {
    const page = await open('28x4', 'dark')
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    expect(await page.locator('#hz-ratio').isVisible()).toBe(false)
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)')
    await page.close()
  })

  test('has logged no error, and asked the network for nothing', () => {
    expect(errors).toEqual([])
  })
})
