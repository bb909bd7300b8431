import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readScores } from '../../src/scores/arrow.js'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const cwd = scratchFolder()
const published = join(packageRoot, 'test/fixtures/published')
const qwen = ['qa_eng', 'repoqa'].map((data) => join(published, `kvzip/qwen2.5-7b-scbench_${data}-0.pt`))
const llama = join(published, 'kvzip/llama3.1-8b-scbench_qa_eng-0.pt')
const pattern = join(published, 'duo/Meta-Llama-3.1-8B-Instruct')
const words = ['ratio', 'sparsity', 'compression_ratio', 'effective KV']

describe('scores of other projects', () => {
  it('are compared: published figures come out as published', async () => {
    const sets = await headzip(['compare', ...qwen], { cwd })
    expect(sets.out).toMatch(/^A B +0\.903 +0\.760 +75\.0% +89\.3% +92\.5% +91\.7% +10$/m)
    expect(sets.out).toContain('layer 0, KV head 2: 1.0000 and 0.5000, kept in A only')
    const methods = await headzip(['compare', llama, pattern, '--json'], { cwd })
    const { pairs, budgets } = JSON.parse(methods.out) as {
      pairs: { spearman: number; overlap: number[]; layers: unknown[]; changes: unknown[] }[]
      budgets: { kept: number }[]
    }
    expect(pairs[0]!.spearman).toBeCloseTo(0.56, 2)
    expect(pairs[0]!.overlap[1]).toBeCloseTo(0.742, 3)
    expect(pairs[0]!.layers).toHaveLength(32)
    expect(pairs[0]!.changes).toHaveLength(74)
    expect(budgets.map(({ kept }) => kept)).toEqual([154, 154])
  })

  it('tell what the published rule and ours keep at a quarter of saturated heads', async () => {
    await headzip(['merge', ...qwen, '-o', 'merged.arrow'], { cwd })
    expect((await readScores(join(cwd, 'merged.arrow'))).max.filter((score) => score === 1)).toHaveLength(33)
    const kept = async (rule: string) => {
      const args = ['export', 'merged.arrow', '--to', 'csv', '-o', 'm.csv', '--force', '--ratio', '0.25']
      const { out } = await headzip([...args, '--selection', rule, '--json'], { cwd })
      return (JSON.parse(out) as { budget: { kept: number } }).budget.kept
    }
    expect([await kept('published'), await kept('exact')]).toEqual([0, 28])
  })

  it('are imported, named where the file cannot tell, and converted', async () => {
    const heads = { '0-0': [0.1, 0.3], '0-1': [0.9], '0-2': [0.4], '0-3': [0.2] }
    writeFileSync(join(cwd, 'heads.json'), JSON.stringify(heads))
    const args = ['import', 'heads.json', '-o', 'heads.arrow', '--kv-heads', '2', '--layers', '5']
    const { out } = await headzip([...args, '--model', 'Hybrid', '--data', 'needles'], { cwd })
    expect(out).toMatch(/^heads\.arrow: 1 layers x 2 KV heads of Hybrid, needles-0, read as json\n/)
    const scores = await readScores(join(cwd, 'heads.arrow'))
    expect([...scores.layerIds, ...scores.max]).toEqual([5, Math.fround(0.9), Math.fround(0.4)])

    const converted = await headzip(['convert', pattern, 'llama.tsv', '--ties', 'keep'], { cwd })
    expect(converted.out).toContain(`${pattern} (duo) -> tsv\nllama.tsv\n`)
    for (const word of words) expect(converted.out).toContain(`\n${word} `)
    expect(converted.out).toContain('A bare table holds values only')
    expect(readFileSync(join(cwd, 'llama.tsv'), 'utf8').split('\n')[0]!.split('\t')).toHaveLength(8)
  })

  it('are drawn next to one another, every picture a file when asked', async () => {
    const args = ['report', llama, '--against', pattern, '--pictures', '-o', 'report', '--tokens', '124000']
    const { out } = await headzip(args, { cwd })
    expect(out).toContain('effective KV       0.6028')
    expect(readdirSync(join(cwd, 'report')).sort()).toEqual(
      [...['agreement-pattern', 'budget', 'curve', 'difference-pattern', 'heatmap', 'layers', 'provenance']]
        .flatMap((name) => [`${name}.png`, `${name}.svg`])
        .concat('index.html')
        .sort(),
    )
  })
})

describe('stability', () => {
  const text = 'Nora lives in Oslo and keeps the key of cabin nine. '
  writeFileSync(
    join(cwd, 'own.jsonl'),
    [8, 9, 10].map((times) => JSON.stringify({ prompts: [text.repeat(times)] })).join('\n'),
  )

  it('is told with samples and with chunks, and drawn', async () => {
    const score = ['score', 'nano', '--data', 'own.jsonl', '--chunk-size', '40', '-o']
    expect((await headzip([...score, 'samples', '--samples', '3'], { cwd })).code).toBe(0)
    expect(readdirSync(join(cwd, 'samples/nano'))).toHaveLength(4)
    const samples = await headzip(['stability', 'samples/nano', '-o', 'drawn'], { cwd })
    expect(samples.out).toMatch(/^ +3 +1\.000 \(1\.000 to 1\.000\) +1\.000 \(1\.000 to 1\.000\)$/m)
    expect(samples.out).toMatch(/\d+ of 24 heads are kept in some redrawn sets/)
    for (const word of words) expect(samples.out).toContain(`\n${word} `)
    const drawn = readFileSync(join(cwd, 'drawn/stability.svg'), 'utf8')
    expect(drawn).toContain('samples</text>')
    // however many there are, the title fits the picture
    expect(drawn).toContain('font-weight="bold">nano, own-0 to 2</text>')

    await headzip([...score, 'pairs', '--pairs'], { cwd })
    const chunks = await headzip(['stability', 'pairs/nano/own-0.arrow', '--json'], { cwd })
    const { steps, parts } = JSON.parse(chunks.out) as {
      parts: string
      steps: { first: { spearman: number } }[]
    }
    expect(parts).toBe('chunks of 40 tokens')
    expect(steps.length).toBeGreaterThan(2)
    expect(steps.at(-1)!.first.spearman).toBe(1)
  })

  it('ends a run early, and the share saved is reported', async () => {
    const args = ['score', 'nano', '--data', 'own.jsonl', '--chunk-size', '15', '--until-stable', '0.5']
    const { out } = await headzip([...args, '-o', 'early'], { cwd })
    expect(out).toMatch(/own-0\.arrow: stable after \d+ of \d+ chunks; \d+% of the repetition was not run/)
  })
})

describe('the method kvzip+', () => {
  it('gets a folder of its own, is named by compare, and is not merged with kvzip', async () => {
    writeFileSync(
      join(cwd, 'two.jsonl'),
      JSON.stringify({ prompts: ['The key of cabin nine is blue. '.repeat(20)] }),
    )
    const score = ['score', 'nano', '--data', 'two.jsonl', '-o', 'methods', '--method']
    const { out } = await headzip([...score, 'kvzip+', '--json'], { cwd })
    const file = 'methods/nano/kvzip+/two-0.arrow'
    expect(JSON.parse(out)).toMatchObject([
      { file, method: 'kvzip+', sweep: 'full' },
      { file: 'methods/nano/kvzip+/merged.arrow', method: 'kvzip+' },
    ])
    await headzip([...score, 'kvzip'], { cwd })
    expect(readdirSync(join(cwd, 'methods/nano')).sort()).toEqual(['kvzip+', 'merged.arrow', 'two-0.arrow'])

    const both = ['methods/nano/two-0.arrow', file]
    const compared = await headzip(['compare', ...both], { cwd })
    expect(compared.out).toContain(`\nA: ${both[0]}, scored by kvzip\nratio `)
    expect(compared.out).toContain(`\nB: ${file}, scored by kvzip+\nratio `)
    expect((await headzip(['merge', ...both, '-o', 'x.arrow'], { cwd })).err).toBe(
      'two-0 and two-0 cannot be merged: their method differs, kvzip against kvzip+\n',
    )
  })
})

describe("DuoAttention's on-the-fly estimate", () => {
  const own = (name: string): string => `heads/nano/duo-estimate/${name}.arrow`
  const args = ['score', 'nano', '--data', 'profile.jsonl', '--samples', '2', '-o', 'heads']

  it('is scored into a folder of its own, merges to its mean, and is evaluated beside other head scores', async () => {
    const sample = { prompts: ['My name is Kim.', 'What is my name?'], ground_truth: ['Kim'] }
    writeFileSync(join(cwd, 'profile.jsonl'), `${JSON.stringify(sample)}\n`.repeat(2))
    const scored = await headzip([...args, '--method', 'duo-estimate'], { cwd })
    expect(scored.out).toContain(`\n${own('merged')}: the mean over profile-0 to 1\n`)
    const [one, both] = [
      await readScores(join(cwd, own('profile-0'))),
      await readScores(join(cwd, own('merged'))),
    ]
    expect(both.provenance).toMatchObject({ method: 'duo-estimate', chunkSize: 0 })
    expect(both.max).toEqual(one.max)

    const ours = join(packageRoot, 'head_scores/nano/merged.arrow')
    const named = `merged=${ours},duo-estimate=${own('merged')}`
    const evaluate = [
      'eval',
      'nano',
      '-d',
      'profile.jsonl',
      '--num',
      '1',
      '--ratios',
      '0.5,1',
      '--scores',
      named,
    ]
    const { out } = await headzip([...evaluate, '-o', 'results'], { cwd })
    expect(out).toContain('| ratio | head, duo-estimate | head, merged |')
  })

  it('does not mix with reconstruction, whose options it refuses', async () => {
    await headzip(args, { cwd })
    const mixed = await headzip(['merge', own('profile-0'), 'heads/nano/profile-1.arrow', '-o', 'y.arrow'], {
      cwd,
    })
    expect([mixed.code, mixed.err]).toEqual([
      2,
      'profile-0 and profile-1 cannot be merged: their method differs, duo-estimate against kvzip\n',
    ])
    const pairs = await headzip([...args, '--method', 'duo-estimate', '--pairs', '--force'], { cwd })
    expect([pairs.code, pairs.err]).toEqual([
      2,
      'the method duo-estimate reads a text once: it has no use for scores of pairs\n',
    ])
    const stability = await headzip(['stability', 'heads/nano/duo-estimate'], { cwd })
    expect([stability.code, stability.err]).toEqual([
      2,
      'stability tells how maxima settle, but scores of duo-estimate are means\n',
    ])
  })
})

describe('bad input ends with exit code 2, one sentence, and nothing written', () => {
  writeFileSync(join(cwd, 'notes.txt'), 'hello')
  it.each<[string, string[], RegExp]>([
    ['one set of scores', ['compare', llama], /^compare needs two sets of scores or more$/],
    ['other heads', ['compare', llama, qwen[0]!], /do not score the same heads$/],
    [
      'an unknown format',
      ['import', 'notes.txt', '-o', 'x.arrow'],
      /^notes\.txt is in no format that headzip knows/,
    ],
    [
      'a target without a format',
      ['convert', llama, 'somewhere'],
      /^somewhere does not tell its format; name it/,
    ],
    [
      'a ratio of 0',
      ['convert', llama, 'x.csv', '--ratio', '0'],
      /^--ratio must be a number in \(0, 1\], got 0$/,
    ],
    [
      'too few layers',
      ['export', llama, '--to', 'duo', '-o', 'x', '--model-layers', '9'],
      /^modelLayers must be at least 32, got 9$/,
    ],
    [
      'odd query heads',
      ['export', llama, '--to', 'retrieval', '-o', 'x.json', '--query-heads', '12'],
      /^queryHeads must be a multiple of the 8 KV heads, got 12$/,
    ],
    ['an unknown method', ['score', 'nano', '--data', 'own.jsonl', '--method', 'kvzip++'], /kvzip\+\+/],
    ['chunks without pairs', ['stability', llama, '--chunk-size', '9'], /score with --pairs$/],
    [
      'no sample',
      ['score', 'nano', '--data', 'own.jsonl', '--samples', '0'],
      /^--samples must be a positive whole number, got 0$/,
    ],
    [
      'layers that do not fit',
      ['import', llama, '-o', 'x.arrow', '--layers', '1,2'],
      /names 2 layers but holds 32$/,
    ],
  ])('%s', async (_, args, sentence) => {
    const { code, out, err } = await headzip(args, { cwd })
    expect(err.trimEnd()).toMatch(sentence)
    expect([code, out]).toEqual([2, ''])
    for (const name of ['x', 'x.arrow', 'x.csv', 'x.json', 'somewhere'])
      expect(existsSync(join(cwd, name))).toBe(false)
  })
})
