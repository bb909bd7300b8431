import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { describeModel } from '../../src/model/describe.js'
import { writeScores } from '../../src/scores/arrow.js'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const cwd = scratchFolder()
const fixtures = join(packageRoot, 'test/fixtures')

/** A copy of a fixture model with one fault. */
function broken(name: string, fixture: string, fault: (folder: string) => void): void {
  const folder = join(cwd, name)
  cpSync(join(fixtures, 'models', fixture), folder, { recursive: true })
  fault(folder)
}

function editJson(file: string, edit: (fields: Record<string, unknown>) => void): void {
  const fields = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  edit(fields)
  writeFileSync(file, JSON.stringify(fields))
}

beforeAll(async () => {
  mkdirSync(join(cwd, 'no-config'))
  broken('truncated', 'llama-sharded', (folder) =>
    truncateSync(join(folder, 'model-00002-of-00003.safetensors'), 150_000),
  )
  broken('missing-tensor', 'llama-sharded', (folder) =>
    editJson(join(folder, 'model.safetensors.index.json'), ({ weight_map }) => {
      Object.assign(weight_map as object, { 'model.extra.weight': 'model-00001-of-00003.safetensors' })
    }),
  )
  broken('wrong-shape', 'llama3', (folder) =>
    editJson(join(folder, 'config.json'), (config) => Object.assign(config, { intermediate_size: 128 })),
  )
  broken('unknown-architecture', 'llama3', (folder) =>
    editJson(join(folder, 'config.json'), (config) =>
      Object.assign(config, { architectures: ['MambaForCausalLM'] }),
    ),
  )
  writeFileSync(join(cwd, 'long.txt'), 'word '.repeat(9000))
  writeFileSync(join(cwd, 'empty.txt'), '')
  writeFileSync(join(cwd, 'kim.txt'), 'My name is Kim.')
  writeFileSync(join(cwd, 'own.jsonl'), `${JSON.stringify({ prompts: ['My name is Kim.'] })}\n`)
  writeFileSync(join(cwd, 'long.jsonl'), `${JSON.stringify({ prompts: ['word '.repeat(9000)] })}\n`)
  cpSync(join(fixtures, 'data/no-prompts.parquet'), join(cwd, 'no-prompts.parquet'))
  const { id, hash } = describeModel('nano')
  const scores = (model: string, modelHash: string): Parameters<typeof writeScores>[1] => ({
    layers: 6,
    kvHeads: 4,
    layerIds: Int32Array.of(0, 1, 2, 3, 4, 5),
    max: new Float32Array(24).fill(0.5),
    mean: null,
    p99: null,
    positions: 0,
    pairs: null,
    provenance: {
      model,
      modelHash,
      sources: [{ data: 'own', index: 0, tokens: 5 }],
      method: 'kvzip',
      sweep: 'full',
      chunkSize: 2000,
      arithmetic: 'cpu/fp32',
      engineVersion: '0',
      created: '2026-01-01T00:00:00.000Z',
    },
  })
  await writeScores(join(cwd, 'nano.arrow'), scores(id, hash))
  await writeScores(join(cwd, 'other.arrow'), scores('other', '0'.repeat(64)))
  writeFileSync(join(cwd, 'taken.arrow'), 'mine')
})

const ask = (...args: string[]): string[] => [
  'ask',
  'nano',
  '--context',
  'kim.txt',
  '--query',
  'Who?',
  ...args,
]
const evict = (...args: string[]): string[] => ask('--scores', 'nano.arrow', ...args)

describe('bad input ends with exit code 2, one sentence, and nothing written', () => {
  it.each<[string, string[], RegExp]>([
    [
      'a folder with no config.json',
      ['score', 'no-config', '--data', 'own.jsonl'],
      /^no-config is not a model folder: it has no config\.json$/,
    ],
    [
      'a path that does not exist',
      ['score', 'nowhere', '--data', 'own.jsonl'],
      /^nowhere is not a model: give a folder with a config\.json, a \.gguf file, nano, a short name that headzip models lists, or a name on the hub such as Qwen\/Qwen3-8B$/,
    ],
    [
      'a misspelt model',
      ['score', 'qwen2.5-7', '--data', 'own.jsonl'],
      /^qwen2\.5-7 is not a model: .* such as Qwen\/Qwen3-8B; did you mean qwen2\.5-7b\?$/,
    ],
    [
      'a misspelt level',
      ['eval', 'nano', '--level', 'head,pairs'],
      /^--level must be among .*, got 'pairs'; did you mean pair\?$/,
    ],
    [
      'a misspelt data set of the hub',
      ['data', 'fetch', 'squadd'],
      /^squadd is no data set of the hub; headzip data list names those that are; did you mean squad\?$/,
    ],
    [
      'a truncated shard',
      ['score', 'truncated', '--data', 'own.jsonl'],
      /^truncated\/model-00002-of-00003\.safetensors is truncated: tensor \S+ ends \d+ bytes past the end of the file$/,
    ],
    [
      'an index naming a missing tensor',
      ['score', 'missing-tensor', '--data', 'own.jsonl'],
      /^missing-tensor\/model\.safetensors\.index\.json puts the tensor model\.extra\.weight into model-00001-of-00003\.safetensors, which does not hold it$/,
    ],
    [
      'a weight of the wrong shape',
      ['score', 'wrong-shape', '--data', 'own.jsonl'],
      /^wrong-shape\/model\.safetensors: tensor model\.layers\.0\.mlp\.gate_proj\.weight has shape \[96, 64\], config\.json makes it \[128, 64\]$/,
    ],
    [
      'an unknown architecture',
      ['score', 'unknown-architecture', '--data', 'own.jsonl'],
      /the architecture MambaForCausalLM is not supported; supported: LlamaForCausalLM/,
    ],
    [
      'a context longer than the positions, scored',
      ['score', 'nano', '--data', 'long.jsonl'],
      /has \d+ tokens and needs \d+ positions with its repetition, but nano has 8192/,
    ],
    [
      'a context longer than the positions, asked',
      ['ask', 'nano', '--context', 'long.txt', '--query', 'Who?', '--full'],
      /positions/,
    ],
    [
      'an empty context',
      ['ask', 'nano', '--context', 'empty.txt', '--query', 'Who?', '--full'],
      /context is empty/,
    ],
    ['ratio 0', evict('--ratio', '0'), /^--ratio must be a number in \(0, 1\], got 0$/],
    ['ratio 1.5', evict('--ratio', '1.5'), /^--ratio must be a number in \(0, 1\], got 1\.5$/],
    ['ratio 60', evict('--ratio', '60'), /^--ratio must be a number in \(0, 1\], got 60; write 0\.6 or 60%$/],
    [
      'ratio NaN',
      evict('--ratio', 'NaN'),
      /^--ratio must be a number in \(0, 1\] or a percentage such as 60%, got 'NaN'$/,
    ],
    [
      'a ratio that is no number',
      evict('--ratio', 'most'),
      /^--ratio must be a number in \(0, 1\] or a percentage such as 60%, got 'most'$/,
    ],
    [
      'ratio 0 in an export',
      ['export', 'nano.arrow', '--to', 'duo', '-o', 'out', '--ratio', '0'],
      /^--ratio must be a number in \(0, 1\], got 0$/,
    ],
    [
      'scores of another model',
      ask('--scores', 'other.arrow'),
      /^the scores are of other, whose config or weights differ from those of nano/,
    ],
    ['scores that do not exist', ask('--scores', 'none.arrow'), /^none\.arrow does not exist$/],
    [
      'merging scores of two models',
      ['merge', 'nano.arrow', 'other.arrow', '-o', 'out.arrow'],
      /cannot be merged: their model differs, nano against other$/,
    ],
    [
      'a Parquet file without prompts',
      ['score', 'nano', '--data', 'no-prompts.parquet'],
      /^no-prompts\.parquet, row 0: there is no column prompts$/,
    ],
    [
      'an unknown data set',
      ['score', 'nano', '--data', 'own.jsonl,squat'],
      /^There is no data set or file squat: known are sample_qa_eng, sample_repoqa.*; did you mean squad\?$/,
    ],
    [
      'a sample past the end',
      ['score', 'nano', '--data', 'own.jsonl', '--idx', '0,3'],
      /^own\.jsonl has 1 samples, indices 0 to 0; there is no 3$/,
    ],
    [
      'an output that exists',
      ['merge', 'nano.arrow', '-o', 'taken.arrow'],
      /^taken\.arrow exists; pass --force to replace it$/,
    ],
    [
      'an unknown option',
      ['score', 'nano', '--rato', '1'],
      /^Unknown option: --rato; did you mean --ratio\?$/,
    ],
    ['an option given twice', evict('--ratio', '0.5', '--ratio', '0.6'), /^--ratio is given twice$/],
    ['an unknown command', ['scroe'], /^Unknown command: scroe; did you mean score\?$/],
    ['a missing argument', ['score'], /^headzip score needs <model>, as in: headzip score nano$/],
    [
      'no scores and no --full',
      ask(),
      /^--scores must name a file of head scores; or give --full to evict nothing$/,
    ],
    [
      'a query of blanks',
      ['ask', 'nano', '--context', 'kim.txt', '--query', ' ', '--full'],
      /^The query is empty/,
    ],
    [
      'a chunk size of 0',
      ['score', 'nano', '--data', 'own.jsonl', '--chunk-size', '0'],
      /^chunkSize must be a positive integer, got 0$/,
    ],
  ])('%s', async (_, args, sentence) => {
    const before = readdirSync(cwd).sort()
    const { code, out, err } = await headzip(args, { cwd })
    expect(err.trimEnd().split('\n')).toEqual([expect.stringMatching(sentence) as string])
    expect(out).toBe('')
    expect(code).toBe(2)
    expect(readdirSync(cwd).sort()).toEqual(before)
    expect(readFileSync(join(cwd, 'taken.arrow'), 'utf8')).toBe('mine')
  })

  it('shows the stack with --verbose', async () => {
    const { err, code } = await headzip(evict('--ratio', '0', '--verbose'), { cwd })
    expect(err).toMatch(/^RangeError: --ratio must be a number in \(0, 1\], got 0\n {4}at /)
    expect(code).toBe(2)
    expect(existsSync(join(cwd, 'head_scores'))).toBe(false)
  })
})
