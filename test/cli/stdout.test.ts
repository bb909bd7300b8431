import { type SpawnOptions, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot } from './headzip.js'

const scores = `${packageRoot}/head_scores/nano`
const samples = ['sample_qa_eng-0', 'sample_repoqa-0'].map((name) => `${scores}/${name}.arrow`)
const merged = `${scores}/merged.arrow`
const main = `${packageRoot}/dist/cli/main.js`
const asking = ['ask', 'nano', '--context', `${packageRoot}/package.json`, '--query', 'What?', '--full']
const failing = ['verify', `${packageRoot}/test/fixtures/models/llama3`, '--tolerance-scores', '1e-12']

interface Ended {
  code: number | null
  out: Buffer
  err: string
}

/** @param reads after which the reader leaves; all, unless given */
function run(command: string[], stdio: SpawnOptions['stdio'], cwd: string, reads = Infinity): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd,
      stdio,
      env: { ...process.env, HEADZIP_PROGRESS: 'none' },
    })
    const ended: Ended = { code: null, out: Buffer.alloc(0), err: '' }
    if (reads === 0) child.stdout?.destroy()
    child.stdout?.on('data', (part: Buffer) => {
      ended.out = Buffer.concat([ended.out, part])
      if (--reads <= 0) child.stdout?.destroy()
    })
    child.stderr?.on('data', (text: Buffer) => {
      ended.err += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...ended, code }))
  })
}

/** Standard output, or error, is the device that is always full. */
async function full(args: string[], fd: 1 | 2 = 1): Promise<Ended> {
  const device = openSync('/dev/full', 'w')
  try {
    const stdio: SpawnOptions['stdio'] = fd === 1 ? ['ignore', device, 'pipe'] : ['ignore', 'pipe', device]
    return await run([process.execPath, main, ...args], stdio, scratchFolder())
  } finally {
    closeSync(device)
  }
}

/** The reader leaves after so many pieces. */
function left(args: string[], reads: number, cwd = scratchFolder()): Promise<Ended> {
  return run([process.execPath, main, ...args], ['ignore', 'pipe', 'pipe'], cwd, reads)
}

describe.runIf(process.platform === 'linux')('standard output that is full', () => {
  it.each([
    ['models'],
    ['models', '--json'],
    ['merge', ...samples, '-o', 'merged.arrow', '--json'],
    ['convert', merged, '-', '--format', 'csv'],
    [...asking, '--stream'],
    ['serve', 'nano', '--port', '0'],
    failing,
    ['--help'],
  ])('is told in one sentence by %s', async (...args) => {
    const { code, err } = await full(args)
    const lines = err.trimEnd().split('\n')
    expect(lines.at(-1)).toBe('standard output cannot be written: ENOSPC: no space left on device, write')
    expect(err).not.toMatch(/^ +at |failed in a way|Interrupted/m)
    expect(code).toBe(2)
  })

  it('in the middle of a write is noticed, too', async () => {
    const cwd = scratchFolder()
    // The first write beyond the limit takes a part; what fails is the next.
    const script = 'ulimit -f 2; exec "$0" "$@" > models.json'
    const command = ['sh', '-c', script, process.execPath, main, 'models', '--json']
    const { code, err } = await run(command, ['ignore', 'ignore', 'pipe'], cwd)
    expect(err).toBe('standard output cannot be written: EFBIG: file too large, write\n')
    expect(code).toBe(2)
    expect(statSync(join(cwd, 'models.json')).size).toBeGreaterThan(0)
  })

  it('of errors changes no exit code', async () => {
    expect((await full(['nonsense'], 2)).code).toBe(2)
    expect((await full(['models'], 2)).code).toBe(0)
  })
})

describe('a reader that has had enough', () => {
  it('is no fault, and hides none', async () => {
    expect(await left(['models', '--json'], 0)).toMatchObject({ code: 0, err: '' })
    expect(await left(failing, 0)).toMatchObject({ code: 1, err: '' })
  })

  it('ends work that nobody would see, with the code of a broken pipe', async () => {
    const questions = Array.from({ length: 200 }, (_, i) => ['--query', `What is line ${i}?`]).flat()
    expect(await left([...asking, ...questions, '--stream'], 1)).toMatchObject({ code: 141, err: '' })
  })
})

describe('-o -', () => {
  const all = (args: string[], cwd = scratchFolder()) => left(args, Infinity, cwd)

  it('puts the file, and nothing else, on standard output, and the rest on stderr', async () => {
    const cwd = scratchFolder()
    await headzip(['merge', ...samples, '-o', 'merged.arrow'], { cwd })
    const { code, out, err } = await all(['merge', ...samples, '-o', '-'], cwd)
    expect(code).toBe(0)
    expect(out.equals(readFileSync(join(cwd, 'merged.arrow')))).toBe(true)
    expect(err).toContain('6 layers x 4 KV heads, the maximum over sample_qa_eng-0, sample_repoqa-0')
    expect(readdirSync(cwd)).toEqual(['merged.arrow'])
  })

  it('takes what any format makes that is one file', async () => {
    const csv = await all(['convert', merged, '-', '--format', 'csv'])
    expect(csv.out.toString()).toMatch(/^layer,kv_head,max,mean,p99\n0,0,0\.299/)
    expect(csv.out.toString().trimEnd().split('\n')).toHaveLength(25)
    const kvzip = await all(['export', merged, '--to', 'kvzip', '-o', '-'])
    expect(kvzip.out.subarray(0, 4).toString('latin1')).toBe('PK\x03\x04')
    expect(kvzip.err).not.toContain('nano-sample')
  })

  it.each([
    [['export', merged, '--to', 'duo', '-o', '-'], /^-o - is standard output, which holds one file/],
    [['report', merged, '-o', '-'], /^-o - is standard output, which holds one file/],
    [['merge', ...samples, '-o', '-', '--json'], /^--json and -o - both write to standard output/],
    [[...asking, '--save-cache', '-'], /^--save-cache must name a file/],
  ])('or what cannot be there is refused: %s', async (args, sentence) => {
    const cwd = scratchFolder()
    const { code, out, err } = await all(args, cwd)
    expect(err).toMatch(sentence)
    expect(err.trimEnd().split('\n')).toHaveLength(1)
    expect([code, out.length]).toEqual([2, 0])
    expect(readdirSync(cwd)).toEqual([])
  })
})
