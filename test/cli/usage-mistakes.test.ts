import { describe, expect, it } from 'vitest'
import { buildCli, commandTree } from '../../src/cli/cli.js'
import type { CommandInfo } from '../../src/cli/command-info.js'

/** What the command line says of words that it cannot take; no command runs. */
async function mistake(line: string): Promise<string> {
  const words = line === '' ? [] : line.split(' ')
  try {
    await buildCli(words).parseAsync(words)
    return 'was taken'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a misspelt word gets the one that was meant:', () => {
  it.each([
    ['scroe nano', 'Unknown command: scroe; did you mean score?'],
    ['data shwo needle', 'Unknown command: shwo; did you mean show?'],
    ['frobnicate', 'Unknown command: frobnicate; see headzip --help'],
    ['score nano --rato 0.6', 'Unknown option: --rato; did you mean --ratio?'],
    ['score nano --max-contxt=9', 'Unknown option: --max-contxt; did you mean --max-context?'],
    ['score nano --no-jsn', 'Unknown option: --no-jsn; did you mean --json?'],
    ['score nano --colour-scheme dark', 'Unknown option: --colour-scheme; see headzip score --help'],
    [
      'score nano --rato 0.6 --zzzz',
      'Unknown options: --rato (did you mean --ratio?), --zzzz; see headzip score --help',
    ],
    ['score nano other', 'Unknown argument: other; see headzip score --help'],
    [
      'score nano --method kvzp',
      "--method must be one of kvzip, kvzip+, duo-estimate, got 'kvzp'; did you mean kvzip?",
    ],
    [
      'export a.arrow --to kvpres -o out',
      "--to must be one of arrow, kvzip, duo, kvpress, lserve, sglang, tsv, json, retrieval, csv, got 'kvpres'; did you mean kvpress?",
    ],
    ['eval nano --kv-type evit', "--kv-type must be one of retain, evict, got 'evit'; did you mean evict?"],
    ['ask nano --device gpu', "--device must be one of auto, cpu, cuda, got 'gpu'; did you mean cuda?"],
    ['ask nano --device vulkan', "--device must be one of auto, cpu, cuda, got 'vulkan'"],
  ])('%s', async (line, sentence) => {
    expect(await mistake(line)).toBe(sentence)
  })
})

describe('what is missing is named, with an example:', () => {
  it.each([
    ['score', 'headzip score needs <model>, as in: headzip score nano'],
    [
      'export',
      'headzip export needs <scores>, --to and --out, as in: headzip export head_scores/nano/merged.arrow --to duo -o duo/nano',
    ],
    [
      'export a.arrow -o out',
      'headzip export needs --to, as in: headzip export head_scores/nano/merged.arrow --to duo -o duo/nano',
    ],
    [
      'convert a.arrow',
      'headzip convert needs <to>, as in: headzip convert attn_patterns/Llama-2 llama2.csv',
    ],
    ['results', 'headzip results needs <folders>, as in: headzip results results/nano'],
    ['data show', 'headzip data show needs <name>, as in: headzip data show sample_qa_eng'],
    ['data', 'Name a command of data: list, show or fetch; see headzip data --help'],
    ['', 'Name a command; see headzip --help'],
    ['score nano --threads', '--threads needs a value; see headzip score --help'],
    ['score nano --data --json', '--data needs a value; see headzip score --help'],
    ['convert a.arrow b.csv --layers', '--layers needs a value; see headzip convert --help'],
  ])('headzip %s', async (line, sentence) => {
    expect(await mistake(line)).toBe(sentence)
  })

  it('every command with a required argument has an example to show', () => {
    const all = (info: CommandInfo): CommandInfo[] => [info, ...info.commands.flatMap(all)]
    const needy = all(commandTree()).filter((info) => info.arguments.some(({ required }) => required))
    expect(needy.length).toBeGreaterThan(15)
    expect(needy.filter(({ examples }) => examples.length === 0).map(({ name }) => name)).toEqual([])
  })
})
