import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { run } from '../../src/cli/run.js'
import { scratchFolder } from '../scratch.js'
import { headzip } from './headzip.js'

const scratch = scratchFolder()
const fixtures = fileURLToPath(new URL('../fixtures/data', import.meta.url))
const file = (name: string, content: string): string => {
  writeFileSync(join(scratch, name), content)
  return join(scratch, name)
}
const out = join(scratch, 'results')

describe('headzip eval and results', () => {
  const profile = {
    prompts: ['My name is Kim. I live in Seoul.', 'What is my name?'],
    ground_truth: ['Kim'],
  }
  const data = file('own.jsonl', JSON.stringify(profile))
  beforeAll(async () => {
    const args = [
      'eval',
      'nano',
      '-d',
      data,
      '--level',
      'head,random',
      '--ratios',
      '0.5,1',
      '-o',
      out,
      '--json',
    ]
    const made = await headzip(args)
    expect(made).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(made.out)).toMatchObject({ answered: 1, samples: 1 })
  })

  it('prints a table, and writes table and pictures', async () => {
    const folder = join(scratch, 'report')
    const shown = await headzip(['results', out, '-o', folder])
    expect(shown.out).toContain('### own, nano')
    expect(shown.out).toContain('| ratio | head, merged | random heads, mean of 3 draws |')
    expect(readdirSync(folder).sort()).toEqual(
      ['csv', 'html', 'json', 'md', 'png', 'svg'].map((ending) => `accuracy.${ending}`),
    )
    expect(await headzip(['results', out, '-o', folder])).toMatchObject({
      code: 2,
      err: `${join(folder, 'accuracy.md')} exists; pass --force to replace it\n`,
    })
  })

  it('merges folders', async () => {
    const merged = await headzip(['results', 'merge', out, '-o', join(scratch, 'merged'), '--json'])
    expect(JSON.parse(merged.out)).toMatchObject({ files: [join(scratch, 'merged/nano/own/00000.arrow')] })
  })

  it.each<[string, string[], string]>([
    ['an unknown data set', ['-d', 'scbench_nope'], 'There is no data set or file scbench_nope'],
    [
      'a missing column',
      ['-d', join(fixtures, 'no-prompts.parquet')],
      'no-prompts.parquet, row 0: there is no column prompts',
    ],
    [
      'a wrong type',
      ['-d', join(fixtures, 'text-prompts.parquet')],
      'text-prompts.parquet, row 0: prompts must be a list of strings, it is a string',
    ],
    [
      'zero rows',
      ['-d', join(fixtures, 'zero-rows.parquet')],
      'zero-rows.parquet has zero rows: there is no sample in it',
    ],
    ['a file of 0 bytes', ['-d', file('none.parquet', '')], 'none.parquet is empty: it has 0 bytes'],
    [
      'no reference',
      ['-d', file('bare.jsonl', '{"prompts":["c","q"]}')],
      'bare.jsonl, row 0: there is no ground_truth, which the metric include compares answers with',
    ],
    [
      'an unknown level',
      ['-d', data, '--level', 'tail'],
      "--level must be among head, streaming, pair, pair-uniform, random, got 'tail'",
    ],
    ['a ratio of 0', ['-d', data, '--ratios', '0'], '--ratios must be a number in (0, 1], got 0'],
    ['a shard that is none', ['-d', data, '--shard', '4/4'], '--shard must be i/n with 0 <= i < n'],
    [
      'no draws',
      ['-d', data, '--level', 'random', '--draws', '0'],
      '--draws must be a whole number from 1 to 1000, got 0',
    ],
    [
      'scores that no level takes',
      ['-d', data, '--level', 'pair', '--scores', 'merged.arrow'],
      '--scores belongs to the levels head and streaming',
    ],
    [
      'a window without streaming heads',
      ['-d', data, '--sink', '64'],
      '--sink and --recent belong to --level streaming',
    ],
    [
      'a sweep without pairs',
      ['-d', data, '--sweep', 'block'],
      '--sweep belongs to the levels pair and pair-uniform',
    ],
    ['draws of nothing', ['-d', data, '--draws', '5'], '--draws belongs to --level random'],
    [
      'scores of another model',
      [
        '-d',
        data,
        '--scores',
        fileURLToPath(
          new URL('../fixtures/published/kvzip/llama3.1-8b-scbench_qa_eng-0.pt', import.meta.url),
        ),
      ],
      'but nano has 6 x 4',
    ],
  ])('refuses %s with one sentence and writes nothing', async (_, args, sentence) => {
    const folder = join(scratch, 'refused')
    // in this process: starting a new one for each would take most of the time
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const code = await run(['eval', 'nano', ...args, '-o', folder])
    const err = said.mock.calls.join('')
    said.mockRestore()
    expect(code).toBe(2)
    expect(err).toContain(sentence)
    expect(err.trim().split('\n'), err).toHaveLength(1)
    expect(existsSync(folder)).toBe(false)
  })

  it('refuses results that are none', async () => {
    expect(await headzip(['results', scratch, '--format', 'csv'])).toMatchObject({ code: 0 })
    expect((await headzip(['results', join(scratch, 'nowhere')])).err).toBe(
      `${join(scratch, 'nowhere')} does not exist\n`,
    )
    expect((await headzip(['results', fixtures])).err).toBe(`there are no results in ${fixtures}\n`)
  })
})

describe('headzip data', () => {
  it('lists what is known', async () => {
    const { out: text } = await headzip(['data', 'list', '--json'])
    expect(JSON.parse(text)).toContainEqual({
      name: 'scbench_repoqa_tiny',
      origin: 'hub: Jang-Hyun/SCBench-preprocessed/scbench_repoqa_tiny.parquet',
      template: 'qa',
      generationLength: 512,
      metric: 'repoqa',
    })
  })

  it('shows a sample as it is asked', async () => {
    const { out: text } = await headzip([
      'data',
      'show',
      'needle',
      '-m',
      'nano',
      '--needle-lengths',
      '300',
      '--idx',
      '5',
    ])
    expect(text).toContain('needle 5 of 11 samples')
    expect(text).toContain('Q 0: Q: What is the best thing to do in San Francisco?')
    expect((await headzip(['data', 'show', 'needle'])).err).toContain('needle is measured in tokens')
  })

  it('fetches nothing that is not on the hub', async () => {
    expect(await headzip(['data', 'fetch', 'needle'])).toMatchObject({
      code: 2,
      err: 'needle is no data set of the hub; headzip data list names those that are\n',
    })
  })
})
