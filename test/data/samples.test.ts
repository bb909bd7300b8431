import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readSample, readSamples } from '../../src/data/samples.js'
import { InputError } from '../../src/errors.js'
import { scratchFolder } from '../scratch.js'

const fixtures = fileURLToPath(new URL('../fixtures/data', import.meta.url))
const scratch = scratchFolder()

function scratchFile(name: string, content: string): string {
  writeFileSync(join(scratch, name), content)
  return join(scratch, name)
}

async function refusal(read: Promise<unknown>): Promise<string> {
  const error: unknown = await read.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(InputError)
  return (error as Error).message.replaceAll(fixtures, 'F').replaceAll(scratch, 'S')
}

describe('reading samples', () => {
  it('splits the prompts into context and questions, and takes the columns of code sets', async () => {
    expect(await readSamples(join(fixtures, 'repoqa.parquet'))).toEqual([
      {
        data: 'repoqa',
        index: 0,
        context: 'A context.',
        queries: ['Who?', 'Where?'],
        answers: ['Kim', 'Seoul'],
        lang: ['python', 'rust'],
        repo: ['r/1', 'r/1'],
        funcNames: ['f', 'g'],
      },
      {
        data: 'repoqa',
        index: 1,
        context: 'Ünïcode 五',
        queries: ['Why?'],
        answers: ['because'],
        lang: ['go'],
        repo: ['r/2'],
        funcNames: ['h'],
      },
    ])
  })

  it('reads JSON lines of the same shape, without answers too', async () => {
    const file = scratchFile('own.jsonl', '{"prompts":["c","q"],"ground_truth":["a"]}\n\n{"prompts":["d"]}\n')
    expect(await readSamples(file)).toEqual([
      { data: 'own', index: 0, context: 'c', queries: ['q'], answers: ['a'] },
      { data: 'own', index: 1, context: 'd', queries: [], answers: [] },
    ])
    expect((await readSample(file, 1)).context).toBe('d')
  })

  it.each<[string, () => Promise<unknown>, string]>([
    [
      'an unknown name',
      () => readSamples('scbench_nope'),
      'There is no data set or file scbench_nope: known are sample_qa_eng, sample_repoqa, needle, squad, gsm and scbench_* (headzip data list); or give a .parquet or .jsonl file',
    ],
    [
      'a file without prompts',
      () => readSamples(join(fixtures, 'no-prompts.parquet')),
      'F/no-prompts.parquet, row 0: there is no column prompts',
    ],
    [
      'prompts that are text',
      () => readSamples(join(fixtures, 'text-prompts.parquet')),
      'F/text-prompts.parquet, row 0: prompts must be a list of strings, it is a string',
    ],
    [
      'a prompt that is null',
      () => readSamples(join(fixtures, 'null-prompt.parquet')),
      'F/null-prompt.parquet, row 1: prompts must be a list of strings, it is a list that holds null',
    ],
    [
      'too few answers',
      () => readSamples(join(fixtures, 'too-few-answers.parquet')),
      'F/too-few-answers.parquet, row 0: ground_truth has 1 entries for 2 questions',
    ],
    [
      'zero rows',
      () => readSamples(join(fixtures, 'zero-rows.parquet')),
      'F/zero-rows.parquet has zero rows: there is no sample in it',
    ],
    [
      'an index past the end',
      () => readSample(join(fixtures, 'repoqa.parquet'), 2),
      'F/repoqa.parquet has 2 samples, indices 0 to 1; there is no 2',
    ],
    [
      'an empty file',
      () => readSamples(scratchFile('none.parquet', '')),
      'S/none.parquet is empty: it has 0 bytes',
    ],
    [
      'a file that is not Parquet',
      () => readSamples(scratchFile('text.parquet', 'hello')),
      'S/text.parquet is not a Parquet file that headzip can read: ',
    ],
    [
      'another ending',
      () => readSamples(scratchFile('text.csv', 'a,b')),
      'S/text.csv must end in .parquet or .jsonl to be read as a data set',
    ],
    [
      'a broken line',
      () => readSamples(scratchFile('b.jsonl', '{"prompts":["c"]}\n{"pro')),
      'S/b.jsonl, line 2 is not valid JSON: ',
    ],
    [
      'an empty prompts list',
      () => readSamples(scratchFile('e.jsonl', '{"prompts":[]}')),
      'S/e.jsonl, row 0: prompts is empty, its first entry must be the context',
    ],
  ])('refuses %s with one sentence', async (_, read, sentence) => {
    expect(await refusal(read())).toContain(sentence)
  })
})
