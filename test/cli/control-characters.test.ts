import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { printContent } from '../../src/cli/output.js'
import { escapeLines, escapeText } from '../../src/escape.js'
import { writeScores } from '../../src/scores/arrow.js'
import { everything, gguf } from '../hub/repos.js'
import { FakeHub } from '../hub/server.js'
import { writeTinyChat } from '../inference/tiny-chat.js'
import { writeSafetensors } from '../model/write-safetensors.js'
import { scratchFolder } from '../scratch.js'
import { headzip, type Outcome, packageRoot } from './headzip.js'

/** Red, cursor control of one byte, text turned round, and a line of its own. */
const evil = 'a\u001b[31m\u009b2J\u202eb\r\nINJECTED'
const cwd = scratchFolder()
const fixtures = join(packageRoot, 'test/fixtures')
const hub = new FakeHub([
  ...everything,
  {
    ...gguf,
    name: 'tests/hostile',
    branches: { main: { [`${evil}.gguf`]: Buffer.from('GGUF'), 'b.gguf': Buffer.from('GGUF') } },
  },
])

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

/** @param own whether texts that a command is to show bring lines of their own */
function expectClean({ out, err }: Outcome, { own = false } = {}): void {
  for (const text of [out, err]) {
    expect(text).not.toMatch(raw)
    if (!own) expect(text).not.toMatch(/^\s*INJECTED/m)
  }
}

/** A copy of a fixture model with one fault. */
function model(name: string, fault: (folder: string) => void): void {
  const folder = join(cwd, name)
  cpSync(join(fixtures, 'models/llama3'), folder, { recursive: true })
  fault(folder)
}

function config(folder: string, changes: object): void {
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...changes }))
}

beforeAll(async () => {
  await hub.start()
  mkdirSync(join(cwd, 'models'))
  renameSync(writeTinyChat(), join(cwd, 'models', evil))
  model('architecture', (folder) => config(folder, { architectures: [evil] }))
  model('activation', (folder) => config(folder, { hidden_act: evil }))
  model('rope', (folder) => config(folder, { rope_scaling: { type: evil, factor: 2 } }))
  model('json', (folder) => writeFileSync(join(folder, 'config.json'), `{"a": ${evil}}`))
  model('tensor', (folder) =>
    writeSafetensors(join(folder, 'model.safetensors'), {
      [evil]: { dtype: 'F32', shape: [2], data_offsets: [0, 16] },
    }),
  )
  renameSync(writeTinyChat(), join(cwd, 'template'))
  const tokenizer = join(cwd, 'template/tokenizer.json')
  writeFileSync(tokenizer, readFileSync(tokenizer, 'utf8').replaceAll('<|im_start|>', '<|other_start|>'))
  const raising = `{{ raise_exception(${JSON.stringify(evil)}) }}`
  writeFileSync(join(cwd, 'template/tokenizer_config.json'), JSON.stringify({ chat_template: raising }))
  model('tokenizer', (folder) => writeFileSync(join(folder, 'tokenizer.json'), `{"a": ${evil}}`))
  writeFileSync(
    join(cwd, `${evil}.jsonl`),
    `${JSON.stringify({ prompts: [`Kim ${evil}`, 'Who?'], ground_truth: [evil] })}\n`,
  )
  writeFileSync(join(cwd, 'broken.jsonl'), `{"prompts": ${evil}}\n`)
  const scores = (data: string): Parameters<typeof writeScores>[1] => ({
    layers: 2,
    kvHeads: 2,
    layerIds: Int32Array.of(0, 1),
    max: Float32Array.of(0.1, 0.4, 0.2, 0.9),
    mean: null,
    p99: null,
    positions: 0,
    pairs: null,
    provenance: {
      model: evil,
      modelHash: '0'.repeat(64),
      sources: [{ data, index: 0, tokens: 5 }],
      method: 'csv',
      sweep: '',
      chunkSize: 0,
      arithmetic: evil,
      engineVersion: evil,
      created: evil,
      rope: evil,
    },
  })
  await writeScores(join(cwd, `${evil}.arrow`), scores(evil))
  await writeScores(join(cwd, 'other.arrow'), scores(`${evil} other`))
  mkdirSync(join(cwd, 'hf/hub', `models--x--${evil}`, 'snapshots', 'c'.repeat(40)), { recursive: true })
  mkdirSync(join(cwd, 'hf/hub', `models--x--${evil}`, 'refs'))
  writeFileSync(join(cwd, 'hf/hub', `models--x--${evil}`, 'refs', evil), 'c'.repeat(40))
})
afterAll(() => hub.stop())

function run(args: string[]): Promise<Outcome> {
  const env = { HF_HOME: join(cwd, 'hf'), HF_HUB_CACHE: '', HF_ENDPOINT: hub.endpoint, HF_TOKEN: '' }
  const plain = { HF_HUB_OFFLINE: '', NO_PROXY: '*', no_proxy: '*', HEADZIP_PROGRESS: 'plain' }
  return headzip(args, { cwd, env: { ...env, ...plain } })
}

describe('a refusal is one line without control characters', () => {
  it.each<[string, string[]]>([
    ['a path that is no model', ['score', evil]],
    ['a folder that is none', ['score', `models/${evil}/config.json`]],
    ['an architecture', ['score', 'architecture']],
    ['a string of config.json', ['score', 'activation']],
    ['a kind of rope', ['score', 'rope']],
    ['broken JSON', ['score', 'json']],
    ['a tensor', ['score', 'tensor']],
    ['a chat template', ['ask', 'template', '--context', 'other.arrow', '--full', '--query', 'Who?']],
    ['a tokenizer', ['ask', 'tokenizer', '--context', 'other.arrow', '--full', '--query', 'Who?']],
    ['a data set', ['score', 'nano', '--data', evil]],
    ['a broken data set', ['score', 'nano', '--data', 'broken.jsonl']],
    ['a sample that is not there', ['score', 'nano', '--data', `${evil}.jsonl`, '--idx', '7']],
    ['scores that are not there', ['merge', `none${evil}`, '-o', 'out.arrow']],
    [
      'scores of another model',
      ['ask', 'nano', '--context', 'other.arrow', '--query', 'Who?', '--scores', `${evil}.arrow`],
    ],
    ['a command', [evil]],
    ['an option', ['models', `--${evil}`]],
    ['the value of an option', ['ask', 'nano', '--level', evil]],
    ['a revision', ['download', `tests/sharded@${evil}`]],
    ['files that the hub lists', ['download', 'tests/hostile']],
    ['a file of the hub', ['download', `tests/hostile:${evil}x`]],
  ])('%s', async (_, args) => {
    const outcome = await run(args)
    expectClean(outcome)
    expect(outcome).toMatchObject({ code: 2, out: '' })
    expect(outcome.err.trimEnd().split('\n')).toHaveLength(1)
    expect(outcome.err).not.toBe('')
  })

  it('and so is every line of a stack', async () => {
    const outcome = await run(['score', evil, '--verbose'])
    expectClean(outcome)
    expect(outcome.err.split('\n').length).toBeGreaterThan(3)
  })
})

describe('what a command prints holds no control characters but its own line breaks', () => {
  it.each<[string, string[], json?: boolean]>([
    ['compare', ['compare', `${evil}.arrow`, 'other.arrow']],
    ['merge', ['merge', `${evil}.arrow`, 'other.arrow', '-o', `merged${evil}.arrow`]],
    ['stability', ['stability', `${evil}.arrow`, 'other.arrow', '-o', `stable${evil}`]],
    ['export', ['export', `${evil}.arrow`, '--to', 'duo', '-o', `duo${evil}`]],
    ['convert', ['convert', 'other.arrow', `${evil}.csv`]],
    ['import', ['import', `${evil}.csv`, '-o', `${evil}-imported.arrow`, '--model', evil, '--data', evil]],
    ['report', ['report', `${evil}.arrow`, 'other.arrow', '-o', `report${evil}`, '--title', evil]],
    ['models', ['models']],
    ['score', ['score', 'nano', '--data', `${evil}.jsonl`, '-o', `scores${evil}`]],
    [
      'eval',
      [
        'eval',
        'nano',
        '-d',
        `${evil}.jsonl`,
        '--level',
        'random',
        '--ratios',
        '0.5',
        '--draws',
        '1',
        '-o',
        `results${evil}`,
      ],
    ],
    ['results', ['results', `results${evil}`]],
    [
      'profile',
      ['profile', `models/${evil}`, '-d', `${evil}.jsonl`, '--decode-tokens', '2', '--max-new-tokens', '2'],
    ],
  ])('%s, as text and as JSON', async (_, args) => {
    const text = await run(args)
    expectClean(text)
    expect({ code: text.code, err: text.err }).toEqual({ code: 0, err: '' })
    expect(text.out).not.toBe('')
    const force = /^(models|results|compare|profile)$/.test(args[0]!) ? [] : ['--force']
    const json = await run([...args, ...force, '--json'])
    expectClean(json)
    expect({ code: json.code, err: json.err }).toEqual({ code: 0, err: '' })
    expect(() => JSON.parse(json.out)).not.toThrow()
  })

  it('a sample is shown in lines of its own, escaped like all else', async () => {
    const outcome = await run(['data', 'show', `${evil}.jsonl`])
    expectClean(outcome, { own: true })
    expect(outcome.out).toContain('Kim a\\u001b[31m\\u009b2J\\u202eb\nINJECTED\n')
  })

  it.each([
    ['into a pipe', false, `${evil}\tб\n`],
    ['on a terminal', true, 'a\\u001b[31m\\u009b2J\\u202eb\\r\nINJECTED\tб\n'],
  ])('what a model writes stays as it is, but for terminals: %s', (_, terminal, shown) => {
    const before = process.stdout.isTTY
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(() => true)
    process.stdout.isTTY = terminal
    try {
      printContent(`${evil}\tб\n`)
      expect(write.mock.calls).toEqual([[shown]])
    } finally {
      process.stdout.isTTY = before
      write.mockRestore()
    }
  })

  it('JSON gives the names as they are', async () => {
    const { out } = await run(['merge', `${evil}.arrow`, '-o', 'again.arrow', '--json'])
    expect((JSON.parse(out) as { model: string }).model).toBe(evil)
  })

  it('pictures and pages hold none that XML lacks, and no text that is turned round', () => {
    const folder = join(cwd, readdirSync(cwd).find((name) => name.startsWith('report'))!)
    const files = readdirSync(folder).filter((name) => /\.(svg|html)$/.test(name))
    expect(files).toHaveLength(2)
    for (const file of files) {
      const text = readFileSync(join(folder, file), 'utf8')
      expect(text).toContain('INJECTED')
      expect(text).not.toMatch(raw)
    }
  })
})

describe('escaping', () => {
  it.each([
    ['\u001b[31m', '\\u001b[31m'],
    ['\u009b', '\\u009b'],
    ['\u007f\u0000', '\\u007f\\u0000'],
    ['\u202e\u2066\u2069', '\\u202e\\u2066\\u2069'],
    ['\u2028\ufeff', '\\u2028\\ufeff'],
    ['\ud800', '\\ud800'],
    ['\u{e0041}', '\\udb40\\udc41'],
    ['a\r\n\tb', 'a\\r\\n\\tb'],
    ['naïve 模型 שלום\u200f 👩‍💻', 'naïve 模型 שלום\u200f 👩‍💻'],
  ])('%j -> %s', (text, escaped) => {
    expect(escapeText(text)).toBe(escaped)
    expect(escapeText(escaped)).toBe(escaped)
    expect(JSON.parse(`"${escapeText(text.replace(/["\\]/g, ''))}"`)).toBe(text)
  })

  it('leaves lines and tabs where a text has its own', () => {
    expect(escapeLines('a\n\tb\r\u001b')).toBe('a\n\tb\\r\\u001b')
  })
})

it('only five files of the package write to stdout and stderr, one of them for another', () => {
  const src = join(packageRoot, 'src')
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const holding = (what: RegExp) =>
    files.filter((name) => what.test(readFileSync(join(src, name), 'utf8'))).sort()
  expect(holding(/process\.std(out|err)\.write|\bconsole\.\w+\(|stream: process\.std/)).toEqual([
    // which is not to load what output.ts loads
    'cli/completion/print.ts',
    'cli/output.ts',
    'cli/progress-bar.ts',
    'cli/stdout.ts',
    'serve/app.ts',
  ])
  expect(holding(/\bprintOut\b/)).toEqual(['cli/output.ts', 'cli/stdout.ts'])
})
