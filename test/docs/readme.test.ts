/** UPDATE_DOCS=1 writes the tables of README.md and docs/accuracy.md anew. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { expectMarked, pagePath } from './marked.js'
import { needleTable, summaryOf } from './needle-table.js'

const readme = readFileSync(pagePath('README.md'), 'utf8')
const nano = summaryOf('nano')!
const smollm2 = summaryOf('smollm2-135m')

describe("README's first screen", () => {
  const beginning = readme.slice(0, readme.indexOf('```'))

  it('takes thirty seconds to read aloud: at most 90 words before the first command', () => {
    const prose = beginning
      .split('\n')
      .filter((line) => !/^(#|\||!\[)/.test(line))
      .join(' ')
      .replaceAll(/\]\([^)]*\)/g, ']')
    const words = prose.match(/[\p{L}\p{N}][\p{L}\p{N}.-]*/gu) ?? []
    expect(words.length).toBeLessThanOrEqual(90)
    expect(words.length).toBeGreaterThan(40)
  })

  it('has one picture, one table, the models and where the rest of them are listed', () => {
    expect(beginning.match(/^!\[/gm)).toHaveLength(1)
    expect(beginning.match(/^\|---/gm)).toHaveLength(1)
    expect(beginning).toContain('(docs/models.md)')
  })

  it('says nothing in its table that docs/gpu.md does not have', () => {
    const rows = [...beginning.matchAll(/^\| .*? \| (\d\.\d GiB) \| (\d\.\d) ms \|$/gm)]
    expect(rows).toHaveLength(3)
    const measured = readFileSync(pagePath('docs/gpu.md'), 'utf8')
    for (const [, kv, ms] of rows)
      expect(measured).toMatch(new RegExp(`\\| ${kv} \\| ${ms}\\d ms \\|`.replaceAll('.', '\\.')))
  })

  it('shows the two commands of a fresh clone soon', () => {
    const start = readme.split('\n').slice(0, 45).join('\n')
    expect(start).toContain('\nnpm run demo ')
    expect(start).toContain('\nnpm test ')
  })
})

describe("README's times and memory", () => {
  it('are those of docs/gpu.md', () => {
    const section = /## Time and memory\n([\s\S]*?)\n## /.exec(readme)![1]!
    const table = section
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .join('\n')
    const figures = [...new Set(table.match(/\d+(\.\d+)? (s|GiB)\b/g))]
    expect(figures.length).toBeGreaterThan(8)
    const measured = readFileSync(pagePath('docs/gpu.md'), 'utf8')
    expect(figures.filter((figure) => !measured.includes(figure))).toEqual([])
  })
})

describe('the needles of SmolLM2', () => {
  it('stand in the README as they were measured, or are said not to be', () => {
    const content =
      smollm2 === undefined
        ? 'Not measured yet. The command is in [docs/accuracy.md](docs/accuracy.md).'
        : needleTable([
            ['SmolLM2', smollm2],
            ['nano', nano],
          ])
    expectMarked('README.md', 'smollm2 table', content)
  })

  it('are linked from docs/accuracy.md once they are there', () => {
    const samples = smollm2?.[0]?.samples
    const content =
      samples === undefined
        ? 'Not measured yet.'
        : "![SmolLM2's right answers against the ratio kept](../reports/smollm2-135m/accuracy.svg)\n\n" +
          `[All figures](../reports/smollm2-135m/accuracy.md), from ${samples} contexts.`
    expectMarked('docs/accuracy.md', 'smollm2 accuracy', content)
  })

  it('come as a table of ratios by levels', () => {
    const lines = needleTable([['nano', nano]]).split('\n')
    expect(lines.slice(0, 4)).toEqual([
      '| kept | nano: heads by score | pairs | random heads |',
      '| --- | --- | --- | --- |',
      '| full cache | 100.0 ± 0.0 | 100.0 ± 0.0 | 100.0 ± 0.0 |',
      '| 0.8 | 100.0 ± 0.0 | 100.0 ± 0.0 | 100.0 (100.0 to 100.0) |',
    ])
    expect(lines[4]).toBe('| 0.6 | 100.0 ± 0.0 | 100.0 ± 0.0 | 66.7 (0.0 to 100.0) |')
  })
})

describe('a link on the pages', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].concat(
    readdirSync(pagePath('docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  )
  const links = pages.flatMap((page) =>
    [...readFileSync(pagePath(page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(
      ([, target]) => [page, target!] as const,
    ),
  )

  it('leads to a file', () => {
    expect(links.length).toBeGreaterThan(20)
    for (const [page, target] of links)
      expect(existsSync(join(dirname(pagePath(page)), target)), `${page}: ${target}`).toBe(true)
  })
})
