/** The table of families in docs/families.md: what the code supports, and nothing else. */

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
  const header = ['family', 'architectures', 'models', 'special', 'chat format']
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** All of docs/families.md. */
export function familyPage(): string {
  const ropes = ropeTypes.map((type) => `\`${type}\``).join(', ')
  const gguf = ggufArchitectures.map(({ name, classes }) => `\`${name}\` (${classes.join(', ')})`).join(', ')
  return [
    '# Model families',
    '',
    'A test writes this page from `src/model/families`; `npx vitest run test/model/family-table.test.ts -u` renews it.',
    '',
    familyTable(),
    '',
    `Everything is read from \`config.json\`. Kinds of rope: ${ropes}.`,
    'A chat format of KVzip is taken where the tokenizer knows its tokens, else one of the others, else the template.',
    '',
    `GGUF files name an architecture of llama.cpp's: ${gguf}.`,
    'A model split over several files is opened by its first.',
    '',
    '[new-model.md](new-model.md) walks through adding a family.',
    '',
  ].join('\n')
}
