/** What yargs says of a command line that is wrong, in our words: what it should have been, and an example. */

import { didYouMean } from '../did-you-mean.js'
import { type CommandInfo, findCommand, type OptionInfo } from './command-info.js'

/**
 * @param message of yargs, in English
 * @param words of the command line, behind `headzip`
 * @returns one sentence
 */
export function usageMistake(message: string, words: readonly string[], root: CommandInfo): string {
  const text = message.replaceAll(/\s*\n\s*/g, ' ').trim()
  const { command, path } = findCommand(root, words)
  const options = path.length === 0 ? root.options : [...command.options, ...root.options]
  const line = ['headzip', ...path].join(' ')
  const see = `; see ${line} --help`
  // Words behind an unknown command are listed with it, and so are those that a command has no place for.
  const [, kind, unknown = ''] = /^Unknown (command|argument)s?: (.+)$/.exec(text) ?? []
  const [first = ''] = unknown.split(', ')
  if (kind === 'command' && command.commands.length > 0) {
    const names = command.commands.map(({ name }) => name)
    return `Unknown command: ${first}${didYouMean(first, names) || see}`
  }
  if (kind !== undefined) return unknownArguments(unknown.split(', '), words, options, see)
  const [, name = '', given = ''] = /Argument: (\S+), Given: (.*?), Choices: /.exec(text) ?? []
  if (name !== '') return wrongChoice(name, given, command, options)
  const [, got] = /^Not enough non-option arguments: got (\d+)/.exec(text) ?? []
  if (got !== undefined || /^Missing required argument/.test(text)) {
    const missing = [
      ...missingArguments(command, got),
      ...options.filter((each) => each.required && !isGiven(each, words)).map(spelt),
    ]
    const [example] = command.examples
    return `${line} needs ${joined(missing)}${example === undefined ? see : `, as in: ${example}`}`
  }
  return `${text}${see}`
}

/** Names the first option that stands without its value, which yargs takes for one that is not there. */
export function valueMissing(words: readonly string[], root: CommandInfo): string | undefined {
  const { command, path } = findCommand(root, words)
  const valued = [...command.options, ...root.options].filter(({ takesValue }) => takesValue)
  const spellings = valued.flatMap(({ names }) => names.map(dashed))
  const bare = words.find(
    (word, i) => spellings.includes(word) && (words[i + 1] === undefined || words[i + 1]!.startsWith('--')),
  )
  return bare && `${bare} needs a value; see ${['headzip', ...path].join(' ')} --help`
}

function unknownArguments(
  names: readonly string[],
  words: readonly string[],
  options: readonly OptionInfo[],
  see: string,
): string {
  const typed = names
    // yargs lists `--max-contxt` as maxContxt, too.
    .filter((name) => !names.some((other) => other !== name && camelCase(other) === name))
    .map((name) => ({ name, word: words.find((word) => isOption(word, name))?.split('=')[0] }))
  const known = options.flatMap((option) => option.names.map(dashed))
  const said = typed.map(({ name, word }) => word ?? name)
  const meant = typed.map(({ name, word }) => (word === undefined ? '' : didYouMean(dashed(name), known)))
  const kind = typed.every(({ word }) => word !== undefined) ? 'option' : 'argument'
  if (said.length === 1) return `Unknown ${kind}: ${said[0]}${meant[0] || see}`
  const all = said.map((each, i) => (meant[i] ? `${each} (${meant[i].slice(2)})` : each))
  return `Unknown ${kind}s: ${all.join(', ')}${see}`
}

/** `--name`, `--no-name`, `--name=value`, `-n` */
function isOption(word: string, name: string): boolean {
  const [before] = word.split('=')
  return before === dashed(name) || before === `--no-${name}`
}

function wrongChoice(
  name: string,
  given: string,
  command: CommandInfo,
  options: readonly OptionInfo[],
): string {
  const option = options.find(({ names }) => names.some((each) => each === name || camelCase(each) === name))
  const choices = (option ?? command.arguments.find((each) => each.name === name))?.choices ?? []
  const value = given.replaceAll('"', '')
  const what = option ? spelt(option) : `<${name}>`
  const meant =
    value === 'gpu' && choices.includes('cuda') ? '; did you mean cuda?' : didYouMean(value, choices)
  return `${what} must be one of ${choices.join(', ')}, got '${value}'${meant}`
}

function missingArguments(command: CommandInfo, got: string | undefined): string[] {
  if (got === undefined) return []
  return command.arguments.slice(Number(got)).flatMap((each) => (each.required ? `<${each.name}>` : []))
}

function isGiven({ names }: OptionInfo, words: readonly string[]): boolean {
  return names.some((name) => words.some((word) => isOption(word, name)))
}

function spelt({ names }: OptionInfo): string {
  return dashed(names[0]!)
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** `a, b and c` */
function joined(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}
