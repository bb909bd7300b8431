/** The page's own font, so that it looks alike on every machine: Inter (SIL Open Font License), Latin letters only. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const resolve = createRequire(import.meta.url).resolve
let loaded: string | undefined

/** CSS with the font inside; other scripts fall back to the reader's own fonts. */
export function fontFaces(): string {
  loaded ??= [400, 600]
    .map((weight) => {
      const file = resolve(`@fontsource/inter/files/inter-latin-${weight}-normal.woff2`)
      const data = readFileSync(file).toString('base64')
      const source = `url(data:font/woff2;base64,${data}) format('woff2')`
      return `@font-face { font-family: 'Headzip Inter'; font-weight: ${weight}; src: ${source}; }`
    })
    .join('\n')
  return loaded
}
