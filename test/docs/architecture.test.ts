/** The pages for whoever changes headzip name files that are there, and every folder has its floor. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'
import { pagePath } from './marked.js'

const pages = ['docs/architecture.md', 'docs/new-model.md', 'docs/environment.md', 'CONTRIBUTING.md']

/** `native/check.*` stands for files that begin so. */
function exists(path: string): boolean {
  const at = join(packageRoot, path)
  if (!path.endsWith('*')) return existsSync(at)
  return readdirSync(dirname(at)).some((name) => join(dirname(at), name).startsWith(at.slice(0, -1)))
}

describe.each(pages)('%s', (page) => {
  const text = readFileSync(pagePath(page), 'utf8').replaceAll(/^```.*?^```$/gms, '')
  const paths = [...text.matchAll(/`((?:src|native|cuda|test|docs|bench|scripts|models)\/[^`\s]*)`/g)]
    .map((match) => match[1]!)
    // `<name>` is what a new file would be called.
    .filter((path) => !path.includes('<'))

  it('names files that are there', () => {
    expect(paths).not.toHaveLength(0)
    expect(paths.filter((path) => !exists(path))).toEqual([])
  })
})

describe('the floors of docs/architecture.md', () => {
  const text = readFileSync(pagePath('docs/architecture.md'), 'utf8')
  const floors = /## The floors\n(.*?)\n## /s.exec(text)![1]!

  it.each(['src', 'native', 'cuda'])('have all folders of %s', (root) => {
    const folders = readdirSync(join(packageRoot, root), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
    expect(folders.length).toBeGreaterThan(4)
    expect(folders.filter((name) => !floors.includes(`\`${name}\``))).toEqual([])
  })
})
