/** The table of short names in docs/models.md: what the code knows, and nothing else. */

import { checkEach, checkFields } from '../check.js'
import { type ShortName, shortNames } from './short-names.js'

/** @returns Markdown, one row a name */
export function shortNameTable(list: readonly ShortName[] = shortNames): string {
  checkEach(list, 'list', (row, at) =>
    checkFields(row, at, { name: 'text', repo: 'text', architecture: 'text', from: 'text' }),
  )
  const rows = list.map(({ name, repo, architecture, from }) => [
    `\`${name}\``,
    `\`${repo}\``,
    `\`${architecture}\``,
    from,
  ])
  const header = ['short name', 'on the hub', 'architecture', 'from']
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
