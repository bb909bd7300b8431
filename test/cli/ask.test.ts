import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Budget } from '../../src/scores/budget.js'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const cwd = scratchFolder()
const scores = join(packageRoot, 'head_scores/nano/merged.arrow')
const kim = 'This is my basic profile. My name is Kim living in Seoul. My major is computer science.'

beforeAll(() => {
  writeFileSync(join(cwd, 'kim.txt'), kim)
  const queries = ['What is my name?', 'What is my major?']
  const sample = { prompts: [kim, ...queries], ground_truth: ['Kim', 'computer science'] }
  writeFileSync(join(cwd, 'kim.jsonl'), JSON.stringify(sample))
})

const ask = (...args: string[]) => headzip(['ask', 'nano', '--context', 'kim.txt', ...args], { cwd })

describe('headzip ask', () => {
  it.each([
    [['--level', 'head', '--scores', scores], 'head 0.5', 12, 24],
    [['--level', 'streaming', '--scores', scores, '--sink', '9', '--recent', '8'], 'streaming 0.5', 12, 24],
    [['--level', 'pair'], 'pair 0.5', 324, 648],
    [['--level', 'pair-uniform', '--sweep', 'block'], 'pair-uniform 0.5', 336, 648],
  ])('evicts by %j', async (how, name, kept, total) => {
    const { out, code } = await ask(
      '--query',
      'What is my name?',
      '--ratio',
      '0.5',
      ...how,
      '--compare',
      '--json',
    )
    expect(code).toBe(0)
    const { caches, answers } = JSON.parse(out) as {
      caches: {
        name: string
        kept: number
        total: number
        bytes: number
        fullBytes: number
        budget: Budget
      }[]
      answers: { answers: { text: string }[] }[]
    }
    expect(caches).toMatchObject([
      { name: 'full', kept: null },
      { name, kept, total },
    ])
    expect(caches[0]?.bytes).toBe(caches[0]?.fullBytes)
    // What the words say is what the engine holds.
    for (const { bytes, fullBytes, budget } of caches)
      expect(budget.effectiveKv! * fullBytes).toBeCloseTo(bytes, 3)
    expect(caches[1]!.budget).toMatchObject({ kept, total, ratio: kept / total })
    expect(answers[0]?.answers[0]?.text).toBe('Kim')
  })

  it('prints answers as they come, and ends them where it is told to', async () => {
    const { out, code } = await ask(
      '--full',
      '--stream',
      '--query',
      'What is my major?',
      '--stop',
      ' sci',
      '--stop',
      'x',
    )
    expect(code).toBe(0)
    expect(out).toMatch(/^> What is my major\?\ncomputer\n {2}\(\d.* to the first token.*\)\n\ncache +kept/)
  })

  it('draws the same answer again with the seed it tells', async () => {
    const hot = ['--full', '--query', 'Who?', '--temperature', '2', '--max-new-tokens', '12', '--json']
    const made = async (...args: string[]): Promise<{ text: string; seed: number }> =>
      (
        JSON.parse((await ask(...hot, ...args)).out) as {
          answers: { answers: [{ text: string; seed: number }] }[]
        }
      ).answers[0]!.answers[0]
    const { text, seed } = await made()
    expect(await made('--seed', String(seed))).toMatchObject({ text, seed })
    const others = [await made('--seed', '1'), await made('--seed', '2'), await made('--seed', '3')]
    expect(new Set(others.map((each) => each.text)).size).toBeGreaterThan(1)
  })

  it('chats over one context: questions build on one another until they are reset', async () => {
    const input = 'What is my name?\n/stats\n\n/reset\n/stats\n/what\nWhat is my major?\n/quit\nWho?\n'
    const { out, err, code } = await headzip(
      ['ask', 'nano', '--context', 'kim.txt', '--scores', scores, '--interactive'],
      { cwd, input },
    )
    expect([err, code]).toEqual(['', 0])
    const lines = out.split('\n')
    expect(lines.filter((line) => /^(> )*(Kim|computer science)$/.test(line))).toHaveLength(2)
    // question 7 tokens and turn switch 5, answer and closing token
    expect(lines.filter((line) => line.includes(' said in '))).toEqual([
      expect.stringMatching(
        /^27 tokens of context, \d\d said in 1 question; 8192 positions in all$/,
      ) as string,
      '27 tokens of context, 0 said in 0 questions; 8192 positions in all',
    ])
    expect(out).toContain('There is no /what; /help lists what there is.')
    expect(out).not.toContain('Who?')
  })

  it('stops an answer on Ctrl-C, goes on, and leaves when it comes twice', async () => {
    writeFileSync(
      join(cwd, 'long.txt'),
      Array.from({ length: 99 }, (_, i) => `Key ${i} is ${i * 37}.`).join('\n'),
    )
    const main = join(packageRoot, 'dist/cli/main.js')
    const args = [
      'ask',
      'nano',
      '--context',
      'long.txt',
      '--full',
      '--interactive',
      '--max-new-tokens',
      '2000',
    ]
    const child = spawn(process.execPath, [main, ...args], { cwd })
    let out = ''
    child.stdout.on('data', (text: Buffer) => {
      out += text
    })
    const until = (text: RegExp) => expect.poll(() => out, { timeout: 60_000 }).toMatch(text)
    await until(/\n> $/)
    child.stdin.write('Repeat the previous context exactly.\n')
    await until(/Key 0 is/)
    child.kill('SIGINT')
    await until(/\n\(stopped; the question is forgotten\)\n> $/)
    child.kill('SIGINT')
    await until(/\nCtrl-C again leaves, as \/quit does\.\n> $/)
    child.kill('SIGINT')
    expect(await once(child, 'close')).toEqual([0, null])
    expect(out).not.toContain('Key 98')
  })

  it.each<[string, string[], RegExp]>([
    ['no question', ['--full'], /^--query must ask something; or give --interactive to chat$/],
    [
      'nothing evicted and a ratio',
      ['--full', '--ratio', '0.3', '--query', 'Who?'],
      /^--full evicts nothing: give it without options of eviction and --compare$/,
    ],
    [
      'nothing evicted and a level',
      ['--full', '--level', 'pair', '--query', 'Who?'],
      /^--full evicts nothing: give it without options of eviction and --compare$/,
    ],
    ['a chat as JSON', ['--full', '--interactive', '--json'], /^--interactive is a chat over one cache/],
    [
      'a stream as JSON',
      ['--full', '--query', 'Who?', '--stream', '--json'],
      /^--stream prints text as it comes/,
    ],
    [
      'a negative temperature',
      ['--full', '--query', 'Who?', '--temperature', '-1'],
      /^temperature must be a number of at least 0, got -1$/,
    ],
    [
      'pairs without a sweep of theirs',
      ['--query', 'Who?', '--scores', scores, '--sweep', 'block'],
      /^--sweep belongs to the levels pair/,
    ],
  ])('refuses %s', async (_, args, sentence) => {
    const { code, out, err } = await ask(...args)
    expect(err.trimEnd().split('\n')).toEqual([expect.stringMatching(sentence) as string])
    expect([code, out]).toEqual([2, ''])
  })
})

describe('headzip profile', () => {
  const run = (...args: string[]) => headzip(['profile', 'nano', '-d', 'kim.jsonl', ...args], { cwd })

  it('times every step, compares answers and the probability of the references', async () => {
    const { out, err, code } = await run('--ratio', '0.5', '--decode-tokens', '8', '--json')
    expect([err, code]).toEqual(['', 0])
    const made = JSON.parse(out) as {
      tokens: object
      steps: { name: string; seconds: number; peakBytes: number | null; residentBytes: number }[]
      caches: { name: string; bytes: number; tokensPerSecond: number; meanLogProb: number }[]
      answers: { reference: string; full: string; logProb: { full: number; pruned: number } }[]
    }
    expect(made).toMatchObject({ model: 'nano', level: 'pair', ratio: 0.5, kept: 324, total: 648 })
    expect(made.tokens).toEqual({ prefix: 38, context: 27 })
    expect(made.steps.map(({ name }) => name)).toEqual([
      'prefill with eviction',
      'prefill',
      'prefill and scoring',
      'pruning',
    ])
    for (const { seconds, residentBytes } of made.steps) {
      expect(seconds).toBeGreaterThan(0)
      expect(residentBytes).toBeGreaterThan(2 ** 20)
    }
    const [full, pruned] = made.caches
    expect([full?.name, pruned?.name]).toEqual(['full', 'pair 0.5'])
    expect(full?.bytes).toBe(65 * 6 * 4 * 2 * 64 * 4)
    expect(pruned?.bytes).toBe((38 * 24 + 324) * 2 * 64 * 4)
    for (const { tokensPerSecond } of made.caches) expect(tokensPerSecond).toBeGreaterThan(0)
    expect(made.answers.map((each) => [each.reference, each.full])).toEqual([
      ['Kim', 'Kim'],
      ['computer science', 'computer science'],
    ])
    const mean = made.answers.reduce((sum, { logProb }) => sum + logProb.full, 0) / 2
    expect(full?.meanLogProb).toBeCloseTo(mean, 12)
    // It answers so greedily; the reference is what it holds most probable.
    expect(mean).toBeGreaterThan(Math.log(0.5))
    expect(mean).toBeLessThan(0)
  })

  it('prints the budget and four tables for heads, and one sentence for what cannot be', async () => {
    const { out, code } = await run(
      '--level',
      'head',
      '--scores',
      scores,
      '--ratio',
      '0.6',
      '--decode-tokens',
      '8',
      '--questions',
      '1',
    )
    expect(code).toBe(0)
    expect(out).toMatch(
      /^nano on cpu\/fp32, kim 0: 38 \+ 27 tokens; head 0\.6 keeps 14 of 24\n\nratio +0\.5833 .*\nsparsity .*\ncompression_ratio .*\neffective KV .*\n\nstep +time +engine peak +process\n/,
    )
    expect(out).toContain('\nWhat is my name?  Kim        Kim ')
    const wrong = await run('--idx', '3')
    expect([wrong.code, wrong.err]).toEqual([2, 'kim.jsonl has 1 samples, indices 0 to 0; there is no 3\n'])
  })
})
