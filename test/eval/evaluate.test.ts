import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomScores } from '../../src/eval/arms.js'
import { type EvaluateOptions, evaluate } from '../../src/eval/evaluate.js'
import { mergeResultFolders } from '../../src/eval/merge-results.js'
import { readResult, readResults, resultPath } from '../../src/eval/store.js'
import { summarize } from '../../src/eval/summary.js'
import { formatSummary } from '../../src/eval/table.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { scratchFolder } from '../scratch.js'

const scratch = scratchFolder()
const people = [
  ['Kim', 'Seoul', 'law'],
  ['Maria', 'Oslo', 'physics'],
  ['John', 'Lima', 'music'],
] as const

const file = join(scratch, 'profiles.jsonl')
writeFileSync(
  file,
  people
    .map(([name, city, major]) => ({
      prompts: [
        `This is my basic profile. My name is ${name}. I live in ${city}. My major is ${major}.`,
        'What is my name?',
        'Where do I live?',
      ],
      ground_truth: [name, city],
    }))
    .map((row) => JSON.stringify(row))
    .join('\n'),
)

let model: Model
beforeAll(async () => {
  model = await loadModel('nano')
})
afterAll(() => model.close())

function settings(out: string, rest: Partial<EvaluateOptions> = {}): EvaluateOptions {
  const scores = [{ label: 'own', hash: 'h', scores: randomScores(model.identity, 5) }]
  return {
    data: [file],
    levels: ['head', 'streaming', 'pair', 'pair-uniform', 'random'],
    ratios: [0.3, 0.7, 1],
    scores,
    draws: 2,
    kind: 'retain',
    sweep: 'full',
    chunkSize: 2000,
    rule: 'exact',
    sink: 8,
    recent: 8,
    out: join(scratch, out),
    ...rest,
  }
}

async function table(out: string): Promise<string> {
  const results = await readResults([join(scratch, out)])
  return formatSummary(await summarize(results.map(({ result }) => result)), 'csv')
}

describe('an evaluation', () => {
  let whole: string
  beforeAll(async () => {
    const progress: number[] = []
    const options = settings('whole', { onProgress: ({ done }) => progress.push(done) })
    expect(await evaluate(model, options)).toMatchObject({ answered: 3, present: 0, samples: 3 })
    expect(progress.at(-1)).toBe(1)
    expect(progress.every((done, i) => i === 0 || done >= progress[i - 1]! - 1e-9)).toBe(true)
    whole = await table('whole')
  })

  it('asks every question of every sample under every arm', async () => {
    const result = await readResult(resultPath(join(scratch, 'whole'), 'nano', 'profiles', 1))
    const arms = 1 + 2 * (4 + 2)
    expect(result?.rows).toHaveLength(arms * 2)
    const full = result?.rows.filter(({ level }) => level === 'full')
    expect(full?.map(({ prediction, score }) => [prediction, score])).toEqual([
      ['Maria', 1],
      ['Oslo', 1],
    ])
    const kept = result!.rows.map(({ keptBytes, fullBytes }) => keptBytes / fullBytes)
    expect(Math.max(...kept)).toBe(1)
    expect(Math.min(...kept)).toBeLessThan(0.7)
  })

  it('gives the same answers with kind evict', async () => {
    await evaluate(model, settings('evict', { kind: 'evict' }))
    expect(await table('evict')).toBe(whole)
  })

  it('goes on where it was stopped, and answers nothing twice', async () => {
    const controller = new AbortController()
    const stopped = evaluate(
      model,
      settings('stopped', { signal: controller.signal, onSample: () => controller.abort() }),
    )
    await expect(stopped).rejects.toThrow('aborted')
    expect(readdirSync(join(scratch, 'stopped/nano/profiles'))).toEqual(['00000.arrow'])
    expect(await evaluate(model, settings('stopped'))).toMatchObject({ answered: 2, present: 1 })
    expect(await evaluate(model, settings('stopped'))).toMatchObject({ answered: 0, present: 3 })
    expect(await table('stopped')).toBe(whole)
  })

  it('adds levels and ratios to the files that are there', async () => {
    await evaluate(model, settings('grown', { levels: ['random'], ratios: [0.7] }))
    await evaluate(model, settings('grown'))
    expect(await table('grown')).toBe(whole)
  })

  it('is the same from shards that ran apart and were merged', async () => {
    for (const index of [0, 1])
      await evaluate(model, settings(`shard-${index}`, { shard: { index, count: 2 } }))
    const folders = [0, 1].map((index) => join(scratch, `shard-${index}`))
    expect(folders.map((folder) => readdirSync(join(folder, 'nano/profiles')).length)).toEqual([2, 1])
    expect(await mergeResultFolders(folders, join(scratch, 'merged'))).toHaveLength(3)
    expect(await table('merged')).toBe(whole)
    const bytes = (out: string): Buffer => readFileSync(join(scratch, out, 'nano/profiles/00002.arrow'))
    expect(bytes('merged').equals(bytes('whole'))).toBe(true)
  })

  it('refuses to mix what was made under other settings, unless it may make it anew', async () => {
    await evaluate(model, settings('mixed', { levels: ['random'], draws: 1 }))
    const shorter = settings('mixed', { levels: ['random'], draws: 1, maxContext: 20 })
    await expect(evaluate(model, shorter)).rejects.toThrow(
      '00000.arrow was made with another --max-context than this run, none against 20; --force makes it anew',
    )
    await evaluate(model, { ...shorter, force: true })
    const found = await readResult(resultPath(join(scratch, 'mixed'), 'nano', 'profiles', 0))
    expect(found).toMatchObject({ tokens: 20, settings: { maxContext: 20 } })
  })

  it('refuses a damaged result by name', async () => {
    const folder = join(scratch, 'damaged/nano/profiles')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, '00001.arrow'), 'half')
    await expect(evaluate(model, settings('damaged'))).rejects.toThrow(
      '00001.arrow is not a whole Arrow file',
    )
    rmSync(folder, { recursive: true })
  })

  it('refuses contexts that do not fit, with what would cut them', async () => {
    const long = join(scratch, 'long.jsonl')
    writeFileSync(long, JSON.stringify({ prompts: ['word '.repeat(9000), 'Who?'], ground_truth: ['Kim'] }))
    const options = settings('long', { data: [long], levels: ['random'] })
    const error = await evaluate(model, options).catch((reason: Error) => reason.message)
    expect(error).toMatch(
      /^long 0 has \d+ tokens and needs \d+ positions with its longest question and answer, but nano has 8192; --max-context \d+ cuts its middle out, or a rope_scaling of type yarn in its config\.json reaches further$/,
    )
    const room = Number(/--max-context (\d+)/.exec(String(error))?.[1])
    const small = { ...options, ratios: [1], maxContext: room }
    // The figure is rounded down to hundreds.
    await expect(evaluate(model, { ...small, maxContext: room + 100 })).rejects.toThrow('positions')
    await expect(evaluate(model, { ...small, data: [file] })).resolves.toMatchObject({ samples: 3 })
  })
})
