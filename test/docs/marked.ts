/** Parts of a page that are written from what the code knows: `<!-- name -->` … `<!-- /name -->`. */

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

export function pagePath(page: string): string {
  return fileURLToPath(new URL(`../../${page}`, import.meta.url))
}

/** Fails unless the marked part of `page` is `content`; with UPDATE_DOCS=1 it is written there instead. */
export function expectMarked(page: string, name: string, content: string): void {
  const file = pagePath(page)
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const text = readFileSync(file, 'utf8')
  const start = text.indexOf(open) + open.length
  const end = text.indexOf(close)
  if (start < open.length || end < start) throw new Error(`${page} has no ${open} … ${close}`)
  const gap = content.includes('\n') ? '\n' : ''
  if (process.env.UPDATE_DOCS === '1')
    writeFileSync(file, `${text.slice(0, start)}${gap}${content}${gap}${text.slice(end)}`)
  else expect(text.slice(start, end).trim()).toBe(content)
}
