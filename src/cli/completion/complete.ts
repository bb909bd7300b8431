/** What may stand at the end of a command line. No library is loaded for it, for it runs at every press of the key. */

import { type CommandInfo, findCommand, type OptionInfo } from '../command-info.js'
import type { CompletionTable } from './table.js'

export interface Candidate {
  word: string
  about: string
}

/**
 * @param words of the line behind `headzip`; the last one is being typed, and may be empty
 * @returns words in its place; none where a file's name is wanted
 */
export function complete(words: readonly string[], table: CompletionTable): Candidate[] {
  // bash takes --device=cpu apart at the =.
  const typed = words.slice(0, -1).filter((word) => word !== '=')
  const current = words.at(-1) === '=' ? '' : (words.at(-1) ?? '')
  const { command, path, rest } = findCommand(table.root, typed)
  const options = path.length === 0 ? table.root.options : [...command.options, ...table.root.options]
  const before = optionOf(options, typed.at(-1) ?? '')
  if (before?.takesValue) return matching(valuesOf(before, table), current)
  const [name = '', start] = current.split(/=(.*)/s)
  const assigned = start === undefined ? undefined : optionOf(options, name)
  if (assigned && start !== undefined)
    return matching(valuesOf(assigned, table), start).map(({ word, about }) => ({
      word: `${name}=${word}`,
      about,
    }))
  if (current.startsWith('-')) return optionNames(options, typed, current)
  if (command.commands.length > 0 && rest.length === 0)
    return matching(
      command.commands.map(({ name: word, about }) => ({ word, about })),
      current,
    )
  return matching(argumentValues(command, positionals(rest, options), table), current)
}

function optionOf(options: readonly OptionInfo[], word: string): OptionInfo | undefined {
  return options.find(({ names }) => names.some((name) => dashed(name) === word))
}

/** Those that are not there yet, in full. */
function optionNames(options: readonly OptionInfo[], typed: readonly string[], current: string): Candidate[] {
  const left = options.filter(
    ({ names, repeats }) => repeats || !names.some((name) => typed.includes(dashed(name))),
  )
  const own = left.map(({ names, about }) => ({ word: dashed(names[0]!), about }))
  return matching([...own, { word: '--help', about: 'Show help' }], current)
}

function valuesOf({ names, choices }: OptionInfo, table: CompletionTable): Candidate[] {
  if (names[0] === 'data') return plain(table.dataSets)
  return plain(choices)
}

/** How many words of `rest` are neither options nor their values. */
function positionals(rest: readonly string[], options: readonly OptionInfo[]): number {
  return rest.filter(
    (word, i) => !word.startsWith('-') && optionOf(options, rest[i - 1] ?? '')?.takesValue !== true,
  ).length
}

function argumentValues(command: CommandInfo, given: number, table: CompletionTable): Candidate[] {
  const argument = command.arguments[given]
  if (argument?.name === 'model') return plain(table.models)
  if (argument?.name === 'name' || argument?.name === 'names') return plain(table.dataSets)
  return plain(argument?.choices ?? [])
}

function plain(words: readonly string[]): Candidate[] {
  return words.map((word) => ({ word, about: '' }))
}

/** Of a comma-separated list the last name is being typed. */
function matching(candidates: readonly Candidate[], current: string): Candidate[] {
  const comma = current.lastIndexOf(',') + 1
  const [list, start] = [current.slice(0, comma), current.slice(comma)]
  return candidates
    .filter(({ word }) => word.startsWith(start))
    .map(({ word, about }) => ({ word: `${list}${word}`, about }))
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}
