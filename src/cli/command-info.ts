/** What the command line knows, as data: read off the very definitions that yargs is given. */

import type { Argv, Options, PositionalOptions } from 'yargs'

export interface CommandInfo {
  name: string
  about: string
  arguments: ArgumentInfo[]
  options: OptionInfo[]
  /** as typed, `headzip score nano` */
  examples: string[]
  commands: CommandInfo[]
}

export interface ArgumentInfo {
  name: string
  required: boolean
  choices: string[]
}

export interface OptionInfo {
  /** `data`, `d`: without dashes, the long one first */
  names: string[]
  about: string
  required: boolean
  takesValue: boolean
  /** may be given several times */
  repeats: boolean
  choices: string[]
}

type Builder = ((args: Argv) => unknown) | Readonly<Record<string, Options>>

/** Takes a definition in place of yargs, which keeps its own to itself. */
class Recorder {
  readonly info: CommandInfo

  constructor(signature: string, about: string) {
    const [name = '', ...words] = signature.split(' ')
    const named = words.map((word) => ({
      name: word.replace(/^[<[]|(\.\.)?[>\]]$/g, ''),
      required: word.startsWith('<'),
      choices: [],
    }))
    this.info = { name, about, arguments: named, options: [], examples: [], commands: [] }
  }

  command(signature: string | readonly string[], about: string, builder: Builder): this {
    const inner = new Recorder(typeof signature === 'string' ? signature : signature[0]!, about)
    inner.take(builder)
    this.info.commands.push(inner.info)
    // What a command does when none of its own is named.
    if (signature.includes('$0')) {
      const { arguments: named, options, examples } = inner.info
      Object.assign(this.info, { arguments: named, options, examples } satisfies Partial<CommandInfo>)
    }
    return this
  }

  take(builder: Builder): void {
    if (typeof builder === 'function') builder(asYargs(this))
    else this.options(builder)
  }

  positional(name: string, options: PositionalOptions): this {
    const found = this.info.arguments.find((each) => each.name === name)
    if (found) found.choices = choicesOf(options)
    return this
  }

  options(all: Readonly<Record<string, Options>>): this {
    for (const [name, options] of Object.entries(all)) this.option(name, options)
    return this
  }

  option(name: string, options: Options): this {
    this.info.options.push({
      names: [name, ...[options.alias ?? []].flat()],
      about: options.describe ?? '',
      required: options.demandOption === true,
      takesValue: options.type !== 'boolean',
      repeats: options.array === true,
      choices: choicesOf(options),
    })
    return this
  }

  example(command: string): this {
    this.info.examples.push(command.replaceAll('$0', 'headzip'))
    return this
  }
}

/** The recorder, with the methods of yargs that tell it nothing. */
function asYargs<T>(recorder: Recorder): Argv<T> {
  const proxy: unknown = new Proxy(recorder, {
    get: (target, method, self) => Reflect.get(target, method, self) ?? (() => self as unknown),
  })
  return proxy as Argv<T>
}

function choicesOf({ choices = [] }: { choices?: Options['choices'] }): string[] {
  return choices.map(String)
}

/** @param registers as `cli.ts` lists them @param options those of every command */
export function recordCommands<T>(
  registers: readonly ((cli: Argv<T>) => unknown)[],
  options: Readonly<Record<string, Options>>,
): CommandInfo {
  const root = new Recorder('headzip', '')
  root.options(options)
  for (const register of registers) register(asYargs<T>(root))
  return root.info
}

/**
 * The command that `words` call, and how it is called: `data show` for what follows `headzip data show`.
 * @param words of a command line, behind `headzip`
 */
export function findCommand(
  root: CommandInfo,
  words: readonly string[],
): { command: CommandInfo; path: string[]; rest: string[] } {
  for (const [i, word] of words.entries()) {
    const command = root.commands.find(({ name }) => name === word)
    if (!command) continue
    const inner = findCommand(command, words.slice(i + 1))
    return { ...inner, path: [word, ...inner.path] }
  }
  return { command: root, path: [], rest: [...words] }
}
