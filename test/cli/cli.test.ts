import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Budget } from '../../src/scores/budget.js'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const cwd = scratchFolder()
const kim = 'This is my basic profile. My name is Kim living in Seoul. My major is computer science.'

function ask(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return headzip(['ask', 'nano', '--context', '-', '--query', 'What is my name?', ...args], {
    cwd,
    input: kim,
  })
}

describe('the command line', () => {
  beforeAll(async () => {
    const long = kim.repeat(30)
    writeFileSync(
      join(cwd, 'own.jsonl'),
      [kim, long].map((context) => JSON.stringify({ prompts: [context] })).join('\n'),
    )
    const scored = await headzip(['score', 'nano', '--data', 'own.jsonl', '--idx', '0,1'], { cwd })
    expect(scored.err).toBe('')
    expect(scored.code).toBe(0)
  })

  it('writes a score file a sample, and says so as JSON when asked', async () => {
    expect(readdirSync(join(cwd, 'head_scores/nano')).sort()).toEqual([
      'merged.arrow',
      'own-0.arrow',
      'own-1.arrow',
    ])
    const { out } = await headzip(['score', 'nano', '--data', 'own.jsonl', '-o', 'again', '--json'], { cwd })
    expect(JSON.parse(out)).toMatchObject([
      {
        file: 'again/nano/own-0.arrow',
        model: 'nano',
        sweep: 'full',
        chunkSize: 2000,
        layers: 6,
        kvHeads: 4,
        budget: { kept: 14, total: 24, effectiveKv: 1 },
      },
      { file: 'again/nano/merged.arrow', model: 'nano', sources: [{ data: 'own', index: 0 }] },
    ])
    const { out: text } = await headzip(
      [
        'score',
        'nano',
        '--data',
        'own.jsonl',
        '--idx',
        '0,1',
        '-o',
        'text',
        '--ratio',
        '0.25',
        '--tokens',
        '3840',
      ],
      { cwd },
    )
    expect(text).toContain(
      '\n\ntext/nano/merged.arrow: the maximum over own-0 to 1\nratio              0.2500  share of KV heads that keep their context: 6 of 24',
    )
    expect(text).toContain('\neffective KV       0.3250  ')
  })

  it('merges a folder of scores, draws it, and exports the result to both formats', async () => {
    const merged = await headzip(['merge', 'head_scores/nano', '-o', 'merged.arrow'], { cwd })
    expect(merged.out).toBe(
      [
        'merged.arrow: 6 layers x 4 KV heads, the maximum over own-0, own-1',
        '',
        'ratio              0.5833  share of KV heads that keep their context: 14 of 24, asked 0.6',
        'sparsity           0.4167  share of KV heads made streaming: 10 of 24',
        'compression_ratio  0.2191  share of the cache removed, at 810 tokens',
        "effective KV       0.7809  share of the cache's bytes kept, 128 sink and 256 recent tokens a streaming head",
        '',
      ].join('\n'),
    )
    const duo = await headzip(['export', 'merged.arrow', '--to', 'duo', '-o', 'duo'], { cwd })
    expect(duo.out).toContain(
      'ratio              0.5833  share of KV heads that keep their context: 14 of 24, asked 0.6',
    )
    const rows = readFileSync(join(cwd, 'duo/full_attention_heads.tsv'), 'utf8').trimEnd().split('\n')
    expect(rows.map((row) => row.split('\t').length)).toEqual([4, 4, 4, 4, 4, 4])
    const drawn = await headzip(['report', 'head_scores/nano', '-o', 'report'], { cwd })
    expect(drawn.out).toContain('report/heatmap.svg\nreport/heatmap.png\nreport/index.html\n')
    expect(drawn.out).toContain('sparsity           0.4167  share of KV heads made streaming: 10 of 24')
    const kvzip = await headzip(['export', 'merged.arrow', '--to', 'kvzip', '-o', 'kvzip', '--json'], { cwd })
    expect(JSON.parse(kvzip.out)).toMatchObject({ files: ['kvzip/nano-own-0+1.pt'] })
  })

  it('answers the quick start from the full cache and from 60% of the heads', async () => {
    const args = ['--query', 'Do I live in Seoul?', '--query', 'What is my major?', '--compare', '--json']
    const { out, code } = await ask(...args, '--scores', 'head_scores/nano/own-1.arrow')
    const { caches, answers } = JSON.parse(out) as {
      caches: { name: string; keptHeads: number; bytes: number; fullBytes: number }[]
      answers: { answers: { text: string }[] }[]
    }
    expect(code).toBe(0)
    expect(caches.map(({ name, keptHeads }) => [name, keptHeads])).toEqual([
      ['full', 24],
      ['head 0.6', 14],
    ])
    expect(caches[0]?.bytes).toBe(caches[0]?.fullBytes)
    expect(caches[1]?.bytes).toBeLessThan(caches[1]?.fullBytes ?? 0)
    const full = answers.map((each) => each.answers[0]?.text)
    expect(full).toEqual(['Kim', 'Yes', 'computer science'])
  })

  it('demonstrates all of it in one command', async () => {
    const queries = {
      'What is my name?': 'Kim',
      'Do I live in Seoul?': 'Yes',
      'What is my major?': 'computer science',
    }
    const sample = { prompts: [kim, ...Object.keys(queries)], ground_truth: Object.values(queries) }
    writeFileSync(join(cwd, 'kim.jsonl'), JSON.stringify(sample))
    const { out, code, err } = await headzip(['demo', '--data', 'kim.jsonl', '--draws', '2', '--json'], {
      cwd,
    })
    expect(err).toBe('')
    expect(code).toBe(0)
    const { rows, budget, quickStart, ...files } = JSON.parse(out) as {
      rows: { name: string; accuracy: number[]; kv: number }[]
      budget: Budget
      quickStart: { full: string }[]
      scoreFiles: string[]
      exports: string[]
      report: { svg: string; png: string; html: string }
    }
    expect(rows.map(({ name }) => name)).toEqual([
      'full cache',
      'head ratio 0.6',
      'random heads 0.6, mean of 2',
    ])
    expect(rows[0]).toMatchObject({ accuracy: [1], kv: 1 })
    expect(rows[1]?.kv).toBeLessThan(1)
    expect(rows[1]?.kv).toBe(rows[2]?.kv)
    expect(budget).toMatchObject({ kept: 14, total: 24, recent: 0 })
    expect(budget.effectiveKv).toBeCloseTo(rows[1]!.kv, 12)
    expect(quickStart.map(({ full }) => full)).toEqual(['Kim', 'Yes', 'computer science'])
    const { svg, png, html } = files.report
    const written = [...files.scoreFiles, ...files.exports, svg, png, html]
    expect(written).toHaveLength(2 + 3 + 3)
    for (const file of written) expect(existsSync(join(cwd, file))).toBe(true)
  })

  it('verifies a model with exit code 0, and 1 past a tolerance', async () => {
    const folder = join(packageRoot, 'test/fixtures/models/llama3')
    const passed = await headzip(['verify', folder])
    expect(passed.out).toContain('llama3 on cpu/fp32: all within tolerance')
    expect(passed.code).toBe(0)
    const failed = await headzip(['verify', folder, '--tolerance-logits', '1e-9', '--json'])
    expect(JSON.parse(failed.out)).toMatchObject({ passed: false })
    expect(failed.code).toBe(1)
  })

  it('tells what it runs on', async () => {
    const { out } = await headzip(['doctor', '--json'])
    expect(JSON.parse(out)).toMatchObject({
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
    })
  })

  it('shows examples in the help of every command', async () => {
    const { out } = await headzip(['--help'])
    const commands = [...out.matchAll(/^ {2}headzip (\w+)/gm)].map(([, name]) => name!)
    expect(commands).toContain('score')
    for (const command of commands) expect((await headzip([command, '--help'])).out).toContain('Examples:')
  })

  it('stops at Ctrl-C with exit code 130 and leaves nothing behind', async () => {
    writeFileSync(join(cwd, 'long.jsonl'), `${JSON.stringify({ prompts: [kim.repeat(190)] })}\n`.repeat(9))
    const args = ['score', 'nano', '--data', 'long.jsonl', '--idx', '0,1,2,3,4,5,6,7,8', '-o', 'stopped']
    expect(await headzip(args, { cwd, interruptAfter: 8000 })).toMatchObject({
      code: 130,
      out: '',
      err: 'Interrupted; nothing half-written is left.\n',
    })
    expect(readdirSync(cwd)).not.toContain('stopped')
  })
})
