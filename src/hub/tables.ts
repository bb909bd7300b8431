/** Families and short names as Markdown, for the README. */

import { families } from '../model/families/index.js'
import { shortNames } from './short-names.js'

/** Two tables: architectures with the short names of each, and short names with what they stand for. */
export function modelTables(): string {
  const known = new Set(families.flatMap(({ architectures }) => architectures))
  const familyRows = families.flatMap(({ architectures, chat }) =>
    architectures.map((architecture) => [code(architecture), chat, namesOf(architecture)]),
  )
  const nameRows = shortNames
    .filter(({ architecture }) => known.has(architecture))
    .map(({ name, repo, architecture, from }) => [code(name), code(repo), code(architecture), from])
  return [
    markdownTable(['`architectures` in config.json', 'prompts', 'short names'], familyRows),
    markdownTable(['short name', 'on the hub', 'architecture', 'from'], nameRows),
  ].join('\n\n')
}

function namesOf(architecture: string): string {
  return shortNames
    .filter((each) => each.architecture === architecture)
    .map(({ name }) => code(name))
    .join(', ')
}

function code(text: string): string {
  return `\`${text}\``
}

function markdownTable(header: string[], rows: string[][]): string {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
