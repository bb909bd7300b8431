import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Table as ArrowTable,
  Field,
  List,
  Struct,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow'
import { Table, writeParquet } from 'parquet-wasm'
import { describe, expect, it } from 'vitest'
import type { Sample } from '../../src/data/sample.js'
import { type FetchDatasetFile, readSamples } from '../../src/data/samples.js'
import { dataSetName, describeDataSet, knownNames } from '../../src/data/sets.js'
import { queryText, templateOf } from '../../src/data/templates.js'
import { scratchFolder } from '../scratch.js'

const scratch = scratchFolder()

function jsonLines(name: string, ...rows: object[]): string {
  writeFileSync(join(scratch, name), rows.map((row) => JSON.stringify(row)).join('\n'))
  return join(scratch, name)
}

const answersType = new Struct([new Field('text', new List(new Field('item', new Utf8())))])

function parquet(name: string, columns: Record<string, unknown[]>): string {
  const vectors = Object.entries(columns).map(([column, values]) => [
    column,
    vectorFromArray(values, column === 'answers' ? answersType : new Utf8()),
  ])
  const table = new ArrowTable(Object.fromEntries(vectors) as Record<string, Vector>)
  writeFileSync(join(scratch, name), writeParquet(Table.fromIPCStream(tableToIPC(table, 'stream'))))
  return join(scratch, name)
}

async function first(file: string): Promise<Sample> {
  return (await readSamples(file))[0]!
}

describe("SCBench's original layout", () => {
  it('puts its words around lookups and book questions', async () => {
    const turns = [{ input: 'Key: "k"', answer: 'v' }]
    expect(
      await first(jsonLines('scbench_kv.jsonl', { id: 1, context: '{"k": "v"}', multi_turns: turns })),
    ).toEqual({
      data: 'scbench_kv',
      index: 0,
      context: 'Extract the value corresponding to the specified key in the JSON object below.\n\n{"k": "v"}',
      queries: ['Key: "k"'],
      answers: ['v'],
    })
    const book = jsonLines('scbench_qa_eng.jsonl', {
      context: 'Once.',
      multi_turns: [{ input: 'Who?', answer: 'Kim' }],
    })
    expect((await first(book)).queries).toEqual(['Question: Who?\nAnswer:'])
  })

  it('lists the options of multiple choice', async () => {
    const turn = { input: 'Who?', answer: 'Kim', options: ['Kim', 'Lee', 'Max', 'Eva'] }
    const file = jsonLines('scbench_choice_eng_short.jsonl', { context: 'Once.', multi_turns: [turn] })
    expect((await first(file)).queries).toEqual([
      'Question: Who?\nA. Kim\nB. Lee\nC. Max\nD. Eva\n\nThe the correct answer is',
    ])
  })

  it('turns a statement of scbench_mf into a question, and reads `input` for a context', async () => {
    const turn = { input: 'The maximum number is', answer: 9 }
    const file = jsonLines('scbench_mf.jsonl', { input: '[1, 9]', multi_turns: [turn] })
    expect(await first(file)).toMatchObject({
      context: 'The maximum number is\n\n[1, 9]',
      queries: ['What is the maximum number?\n\nThe maximum number is'],
      answers: ['9'],
    })
  })

  it('keeps tasks and function names, and takes old file names', async () => {
    const turns = [
      { input: 'Repeat f', answer: 'def f(): pass', task: 'scbench_repoqa', name: 'f' },
      { input: 'Key', answer: 'v', task: 'scbench_kv', name: '' },
    ]
    const file = jsonLines('multi_turn_repoqa_and_kv.jsonl', {
      context: 'c',
      lang: 'python',
      multi_turns: turns,
    })
    expect(await first(file)).toMatchObject({
      data: 'scbench_repoqa_and_kv',
      tasks: ['scbench_repoqa', 'scbench_kv'],
      funcNames: ['f', ''],
      lang: ['python', 'python'],
    })
  })
})

describe('references', () => {
  it('joins lists, and looks up the option of a many-shot letter', async () => {
    const lists = jsonLines('scbench_vt.jsonl', { prompts: ['c', 'q'], ground_truth: [['A', 'B']] })
    expect((await first(lists)).answers).toEqual(['A, B'])
    const letter = jsonLines('scbench_many_shot.jsonl', {
      prompts: ['c', 'Q\n(A) red\n(B) blue'],
      ground_truth: ['B'],
    })
    expect((await first(letter)).answers).toEqual(['(B) blue'])
  })

  it.each<[string, object, string]>([
    [
      'scbench_a.jsonl',
      { prompts: ['c', 'q'], ground_truth: [null] },
      'row 0: ground_truth 0 must be a text, a number or a list, it is null',
    ],
    [
      'scbench_b.jsonl',
      { prompts: ['c', 'q'], ground_truth: 7 },
      'row 0: ground_truth must be a list, it is a number',
    ],
    [
      'b_many_shot.jsonl',
      { prompts: ['c', 'q'], ground_truth: ['B'] },
      'row 0, question 0: no line of the question holds the option (B)',
    ],
    ['scbench_c.jsonl', { context: 'c', multi_turns: [] }, 'row 0: multi_turns is empty'],
    [
      'scbench_d.jsonl',
      { context: 'c', multi_turns: [{ answer: 'a' }] },
      'row 0, turn 0: input must be a string, it is missing',
    ],
  ])('refuses %s with file, row and column', async (name, row, sentence) => {
    await expect(readSamples(jsonLines(name, row))).rejects.toThrow(`${join(scratch, name)}, ${sentence}`)
  })

  it('names what a metric lacks', async () => {
    const file = jsonLines('own.jsonl', { prompts: ['c', 'q'] })
    await expect(readSamples(file, { metric: 'include' })).rejects.toThrow(
      `${file}, row 0: there is no ground_truth, which the metric include compares answers with`,
    )
    const code = jsonLines('x_repoqa.jsonl', { prompts: ['c', 'q'], ground_truth: ['a'], lang: 'go' })
    await expect(readSamples(code, { metric: 'repoqa' })).rejects.toThrow(
      'there is no func_name, which the metric repoqa',
    )
  })
})

describe('data sets of the hub', () => {
  const fetched: string[] = []
  const from =
    (file: string): FetchDatasetFile =>
    async (repo, path) => {
      fetched.push(`${repo}/${path}`)
      return file
    }

  it("gathers SQuAD's questions by context", async () => {
    const answers = [{ text: ['Seoul'] }, { text: ['Kim', 'Lee'] }, { text: ['1611'] }]
    const file = parquet('squad.parquet', {
      context: ['Kim lives in Seoul.', 'Kim lives in Seoul.', 'It is of 1611.'],
      question: ['Where?', 'Who?', 'When?'],
      answers,
    })
    expect(await readSamples('squad', { fetch: from(file) })).toEqual([
      {
        data: 'squad',
        index: 0,
        context: 'Kim lives in Seoul.',
        queries: ['Where?', 'Who?'],
        answers: ['Seoul', 'Kim'],
      },
      { data: 'squad', index: 1, context: 'It is of 1611.', queries: ['When?'], answers: ['1611'] },
    ])
    expect(fetched).toEqual(['rajpurkar/squad/plain_text/train-00000-of-00001.parquet'])
  })

  it("parts GSM8K's last sentence from the rest, and passes over short ones", async () => {
    const long = `${'Kim buys an egg. '.repeat(30)}How many eggs has Kim?`
    const file = parquet('gsm.parquet', { question: ['One. Two?', long], answer: ['#### 1', 'x\n#### 30'] })
    const tokenizer = { encode: (text: string) => text.split(' ').map(() => 0), decode: () => '' }
    const samples = await readSamples('gsm', { fetch: from(file), tokenizer })
    expect(samples).toHaveLength(1)
    expect(samples[0]).toMatchObject({ queries: ['How many eggs has Kim?'], answers: ['x\n#### 30'] })
    expect(samples[0]!.context.endsWith('Kim buys an egg.')).toBe(true)
    await expect(readSamples('gsm', { fetch: from(file) })).rejects.toThrow(
      'gsm is measured in tokens: name a model whose tokenizer counts them',
    )
  })

  it('takes any file of the hub by its address', async () => {
    const file = jsonLines('kv.jsonl', { prompts: ['c', 'q'], ground_truth: ['a'] })
    const name = 'hub:microsoft/SCBench/multi_turn_kv/train-00000-of-00001.parquet'
    const [sample] = await readSamples(name, { fetch: from(file) })
    expect(sample).toMatchObject({ data: 'scbench_kv', context: 'c' })
  })
})

describe('names', () => {
  it('follow files, splits and old names', () => {
    expect(dataSetName('a/scbench_vt_tiny.parquet')).toBe('scbench_vt_tiny')
    expect(dataSetName('a/multi_turn_mf/test-00000-of-00001.parquet')).toBe('scbench_mf')
    expect(dataSetName('squad')).toBe('squad')
  })

  it('are known with their template and generation length', () => {
    expect(knownNames).toHaveLength(5 + 11 * 4)
    expect(describeDataSet('scbench_kv_tiny')).toEqual({
      name: 'scbench_kv_tiny',
      origin: 'hub: Jang-Hyun/SCBench-preprocessed/scbench_kv_tiny.parquet',
      template: 'qa',
      generationLength: 96,
    })
    expect(queryText(templateOf('squad'), 'Who?')).toBe('Q: Who?')
    expect(queryText(templateOf('sample_qa_eng'), 'Who?')).toBe('Who?')
    expect(queryText(templateOf('gsm'), 'How many?')).toContain(
      "beginning with 'The answer is'. Q: How many?",
    )
  })
})
