/** A model whose own ropes end before its reach, as Qwen3's do: 512 positions of its own, 2048 by its longer ropes. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { randomScores } from '../../src/eval/arms.js'
import { type EvaluateOptions, evaluate } from '../../src/eval/evaluate.js'
import { planSamples } from '../../src/eval/plan.js'
import { readResult, resultPath } from '../../src/eval/store.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { describeModel, type ModelDescription } from '../../src/model/describe.js'
import { headzip } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { startServer, user } from '../serve/start.js'
import { writeTinyChat } from './tiny-chat.js'

const own = 512
const reach = 2048
const words = 'one two three four five six seven eight nine ten '
/** 661 and 2,751 tokens. */
const [between, past] = [words.repeat(60), words.repeat(250)]

const folder = writeTinyChat({ positions: own })
const file = join(folder, 'config.json')
const config = JSON.parse(readFileSync(file, 'utf8')) as object
const scaling = { rope_type: 'dynamic', factor: reach / own }
writeFileSync(file, JSON.stringify({ ...config, rope_scaling: scaling }))
const id = basename(folder)

const cwd = scratchFolder()
const dataOf = (name: string, context: string): string => {
  const path = join(cwd, `${name}.jsonl`)
  writeFileSync(path, JSON.stringify({ prompts: [context, 'Which?'], ground_truth: ['one two'] }))
  return path
}

let model: Model
beforeAll(async () => {
  model = await loadModel(folder)
})
afterAll(() => model.close())

it('has one reach, and what is above the engine sees no other', () => {
  expect(model.description.reach).toBe(reach)
  expect(describeModel('nano').reach).toBe(8192)
  expectTypeOf<ModelDescription['spec']>().not.toHaveProperty('maxPositions')
  expectTypeOf<Model['description']>().toEqualTypeOf<ModelDescription>()
  const source = fileURLToPath(new URL('../../src/', import.meta.url))
  const sources = (under: string): string[] =>
    readdirSync(join(source, under), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(source, under, name))
  const above = ['bench', 'cli', 'data', 'eval', 'formats', 'report', 'scores', 'scoring', 'serve', 'verify']
  const files = above.flatMap(sources)
  expect(files.length).toBeGreaterThan(100)
  expect(files.filter((path) => readFileSync(path, 'utf8').includes('maxPositions'))).toEqual([])
})

describe('a server', () => {
  const started = startServer({ maxNewTokens: 5 }, folder)
  const ask = (...parts: string[]) =>
    started().client.chat.completions.create({ model: id, messages: [user(parts.join('\n\n'))] })

  it("answers about contexts past the model's own positions", async () => {
    const { usage } = await ask(between, 'Which?')
    expect(usage!.prompt_tokens).toBeGreaterThan(own)
    expect(usage!.completion_tokens).toBe(5)
  })

  it('refuses one past its reach, and says what helps', async () => {
    await expect(ask(past, 'Which?')).rejects.toThrow(
      new RegExp(
        `^400 the messages have \\d+ tokens, but ${id} has 2048 positions; fewer or shorter messages fit$`,
      ),
    )
  })

  it('refuses a question past what the ropes of a short context reach, and says where it belongs', async () => {
    await expect(ask('One two.', between.trim())).rejects.toThrow(
      new RegExp(
        `^400 the messages have \\d+ tokens, but ${id} has 512 positions behind a context of \\d+; ` +
          'fewer or shorter messages fit, or a long text before the question is part of the context and reaches 2048$',
      ),
    )
  })
})

describe('an evaluation', () => {
  const settings = (name: string, context: string): EvaluateOptions => ({
    data: [dataOf(name, context)],
    levels: ['head'],
    ratios: [0.5],
    scores: [{ label: 'own', hash: 'h', scores: randomScores(model.identity, 5) }],
    ...{ draws: 1, kind: 'retain', sweep: 'full', chunkSize: 2000, rule: 'exact', sink: 8, recent: 8 },
    out: join(cwd, 'results'),
  })

  it("judges answers about contexts past the model's own positions", async () => {
    await evaluate(model, settings('between', between))
    const found = await readResult(resultPath(join(cwd, 'results'), id, 'between', 0))
    expect(found!.tokens).toBeGreaterThan(own)
    expect(found!.rows.map(({ level }) => level)).toEqual(['full', 'head'])
  })

  it('refuses one past its reach, with a length that fits', async () => {
    const refused = evaluate(model, settings('past', past)).catch((error: Error) => error.message)
    const sentence = String(await refused)
    expect(sentence).toMatch(
      /^past 0 has \d+ tokens and needs \d+ positions with its longest question and answer, but \S+ has 2048; --max-context \d+ cuts its middle out$/,
    )
    const maxContext = Number(/--max-context (\d+)/.exec(sentence)?.[1])
    expect(maxContext).toBeGreaterThan(own)
    const job = { data: [dataOf('past', past)], scoredChunk: null }
    expect(await planSamples(model, { ...job, maxContext })).toHaveLength(1)
  })

  it('tells of a context that fits its short ropes, but not with its question', async () => {
    // Cut to the last position that they have, so that nothing is left for a question.
    const prefix = (await model.prompts).prefixIds.length
    const job = { data: [dataOf('edge', between)], scoredChunk: null, maxContext: own - prefix }
    await expect(planSamples(model, job)).rejects.toThrow(
      /, but \S+ has 512 behind a context of that length; --max-context \d+ cuts its middle out$/,
    )
  })

  it('looks for needles as far as the reach goes', async () => {
    const notes: string[] = []
    const onNote = (note: string): void => void notes.push(note)
    const needle = { depths: [50] }
    const planned = await planSamples(model, { data: ['needle'], scoredChunk: null, needle, onNote })
    expect(planned.map(({ contextIds }) => contextIds.length)).toEqual([500, 1500].map(about))
    expect(notes).toEqual([expect.stringContaining(`since ${id} has 2048 positions`)])
  })
})

const about = (tokens: number): unknown => expect.closeTo(tokens, -2)

describe('headzip ask', () => {
  const chat = (context: string, input: string) => {
    writeFileSync(join(cwd, 'context.txt'), context)
    return headzip(
      ['ask', folder, '--context', 'context.txt', '--full', '--interactive', '--max-new-tokens', '4'],
      {
        cwd,
        input,
      },
    )
  }

  it("chats about a context past the model's own positions, and names the positions there are", async () => {
    const { out, err, code } = await chat(between, 'Which?\n/stats\n/quit\n')
    expect([err, code]).toEqual(['', 0])
    const [, tokens] =
      /(\d+) tokens of context, \d+ said in 1 question; 2048 positions in all/.exec(out) ?? []
    expect(Number(tokens)).toBeGreaterThan(own)
    const short = await chat('One two.', '/stats\n/quit\n')
    expect(short.out).toContain(' tokens of context, 0 said in 0 questions; 512 positions in all')
  })

  it('refuses one past its reach', async () => {
    const { err, code } = await chat(past, '/quit\n')
    expect(code).toBe(2)
    expect(err).toMatch(/needs \d+ positions, but \S+ has 2048; --max-context \d+ cuts its middle out\s*$/)
  })
})
