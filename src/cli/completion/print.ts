import { escapeText } from '../../escape.js'
import { complete } from './complete.js'
import { loadTable } from './table.js'

/** What the scripts that yargs writes for bash and zsh ask for. @param words `headzip` and what was typed behind it */
export async function printCompletions([, ...words]: readonly string[]): Promise<void> {
  const found = complete(words, await loadTable())
  // Only the script for zsh hands these on; it shows what stands behind a colon.
  const zsh = process.env.COMP_POINT !== undefined
  const line = ({ word, about }: { word: string; about: string }): string =>
    zsh ? `${word.replaceAll(':', '\\:')}${about === '' ? '' : `:${about}`}` : word
  if (found.length > 0) process.stdout.write(`${found.map((each) => escapeText(line(each))).join('\n')}\n`)
}
