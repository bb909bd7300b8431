/** The tables of docs/models.md: what the code supports, and nothing else. */

import { ggufArchitectures } from '../gguf/config.js'
import { ropeTypes } from '../rope.js'
import type { Family } from './family.js'
import { families } from './index.js'

/** @returns Markdown, one row a family */
export function familyTable(list: readonly Family[] = families): string {
  const rows = list.map(({ name, architectures, models, chat, traits }) => [
    name,
    architectures.map((each) => `\`${each}\``).join(', '),
    models,
    traits,
    chat === undefined ? "the tokenizer's template" : `KVzip's \`${chat}\``,
  ])
  return markdownTable(['family', 'architectures', 'models', 'special', 'chat format'], rows)
}

/** @returns Markdown, one row an architecture of llama.cpp's */
export function ggufTable(): string {
  const rows = ggufArchitectures.map(({ name, classes }) => [
    `\`${name}\``,
    classes.map((each) => `\`${each}\``).join(', '),
  ])
  return markdownTable(['in the GGUF file', 'read as'], rows)
}

/** Kinds of rope, comma-separated. */
export function ropeList(): string {
  return ropeTypes.map((type) => `\`${type}\``).join(', ')
}

function markdownTable(header: string[], rows: string[][]): string {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
