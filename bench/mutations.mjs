/**
 * Hostile files: mutants of one valid file of each format go to its reader. Each must be read or refused with one
 * sentence; a crash, a hang, any other error and a control character in a sentence count against it.
 *   node bench/mutations.mjs [--times 10000] [--seed 1] [format ...]     after npm run setup
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, execPath, exit, stdout } from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  describeModel,
  exportScores,
  importScores,
  isUserError,
  loadModel,
  readAnyScores,
  readSamples,
  readScores,
} from '../dist/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const fixture = (path) => join(root, 'test/fixtures', path)
const hangSeconds = 30

/** A reader of one file, given its path; what it needs beside the file lies in the same folder. */
const formats = {
  scores: { file: 'head_scores/nano/merged.arrow', read: readScores },
  pt: { file: fixture('published/kvzip/qwen2.5-7b-scbench_qa_eng-0.pt'), read: readAnyScores },
  tsv: {
    make: (folder) => exportTo('duo', folder, 'full_attention_heads.tsv'),
    read: (path) => importScores(join(path, '..')),
  },
  'duo-config': {
    make: (folder) => exportTo('duo', folder, 'config.json'),
    read: (path) => importScores(join(path, '..')),
  },
  json: {
    make: (folder) => exportTo('json', join(folder, 'scores.json')),
    read: (path) => importScores(path),
  },
  csv: { make: (folder) => exportTo('csv', join(folder, 'scores.csv')), read: (path) => importScores(path) },
  parquet: { file: fixture('data/repoqa.parquet'), read: (path) => readSamples(path) },
  jsonl: { make: writeJsonLines, read: (path) => readSamples(path) },
  gguf: { file: fixture('models/gguf/tiny.gguf'), read: load },
  'config.json': { make: (folder) => model(folder, 'config.json'), read: (path) => load(join(path, '..')) },
  safetensors: {
    make: (folder) => model(folder, 'model.safetensors'),
    read: (path) => load(join(path, '..')),
  },
  'tokenizer.json': { make: (folder) => model(folder, 'tokenizer.json'), read: tokenize },
  'tokenizer_config.json': { make: (folder) => model(folder, 'tokenizer_config.json'), read: tokenize },
  cache: { make: writeCache, read: restore },
}

let restoring
async function writeCache(folder) {
  restoring = await loadModel('nano')
  const kv = await restoring.prefill('My name is Kim. I live in Seoul. '.repeat(8), {
    level: 'pair',
    ratio: 0.5,
  })
  const path = join(folder, 'context.kv')
  await kv.save(path)
  kv.close()
  return path
}
async function restore(path) {
  const kv = await restoring.restore(path)
  await restoring.generate('Where?', { kv, maxNewTokens: 2 })
  kv.close()
}
async function exportTo(format, path, name) {
  const exported = await exportScores(
    await readScores(join(root, 'head_scores/nano/merged.arrow')),
    format,
    path,
    { force: true },
  )
  return name === undefined ? (exported.files?.[0] ?? path) : join(path, name)
}
function writeJsonLines(folder) {
  const path = join(folder, 'samples.jsonl')
  const line = { prompts: ['A context of some words.', 'What is it?'], ground_truth: ['words'] }
  writeFileSync(path, `${JSON.stringify(line)}\n`.repeat(3))
  return path
}
function model(folder, name) {
  cpSync(fixture('models/llama3'), folder, { recursive: true })
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(root, 'models/nano', file), join(folder, file))
  return join(folder, name)
}
async function load(path) {
  describeModel(path)
  const loaded = await loadModel(path, { threads: 1 })
  loaded.close()
}
async function tokenize(path) {
  const tokenizer = describeModel(join(path, '..')).openTokenizer({ seconds: 5 })
  try {
    await tokenizer.decode(await tokenizer.encode('Some words, 12 numbers and\n\ta tab.'))
  } finally {
    tokenizer.close()
  }
}

function generator(seed) {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const traps = [
  '\x1b[31m',
  '\x9b',
  '\u202e',
  '\r\n',
  '\0',
  '1e999',
  '-1',
  '18446744073709551615',
  'null',
  '[]',
  '{}',
  '"\\u001b[2J"',
  'NaN',
]

/** A bit, a byte, an integer, a piece moved, a trap written over or put in, a piece dropped or doubled, an early end. */
function fault(bytes, below) {
  const at = below(10) < 6 ? below(Math.min(bytes.length, 4096)) : below(bytes.length)
  const length = 1 + below(Math.min(64, bytes.length))
  const trap = Buffer.from(traps[below(traps.length)])
  switch (below(20) === 0 ? 8 : below(8)) {
    case 0:
      bytes[at] ^= 1 << below(8)
      return bytes
    case 1:
      bytes[at] = below(256)
      return bytes
    case 2:
      return bytes.fill(below(2) ? 0xff : 0, at, Math.min(bytes.length, at + 1 + below(8)))
    case 3:
      bytes.copyWithin(at, below(bytes.length), below(bytes.length))
      return bytes
    case 4:
      trap.copy(bytes, at)
      return bytes
    case 5:
      return Buffer.concat([bytes.subarray(0, at), trap, bytes.subarray(at)])
    case 6:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    case 7:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    default:
      return bytes.subarray(0, at)
  }
}

/** One to four faults. */
function mutate(good, below) {
  let bytes = Buffer.from(good)
  for (let faults = 1 + below(4); faults > 0 && bytes.length > 0; faults--) bytes = fault(bytes, below)
  return bytes
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

async function attack(name, times, seed) {
  const folder = mkdtempSync(join(tmpdir(), 'headzip-mutations-'))
  const format = formats[name]
  const counts = { read: 0, refused: 0, raw: 0, control: 0 }
  const told = (what) => stdout.write(`${JSON.stringify({ name, ...what })}\n`)
  try {
    mkdirSync(join(folder, 'at'), { recursive: true })
    let path = join(
      folder,
      'at',
      String(format.file ?? '')
        .split('/')
        .at(-1),
    )
    if (format.make) path = await format.make(join(folder, 'at'))
    else cpSync(format.file.startsWith('/') ? format.file : join(root, format.file), path)
    const good = readFileSync(path)
    await format.read(path)
    for (let i = 0; i < times; i++) {
      writeFileSync(path, mutate(good, generator(seed * 1e6 + i)))
      told({ begins: i })
      try {
        await format.read(path)
        counts.read++
      } catch (error) {
        const sentence = String(error?.message)
        const raw = !isUserError(error)
        if (raw) told({ seed: i, raw: String(error?.stack).slice(0, 400) })
        if (control.test(sentence)) told({ seed: i, control: JSON.stringify(sentence).slice(0, 400) })
        counts[raw ? 'raw' : control.test(sentence) ? 'control' : 'refused']++
      }
    }
    told({ counts })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  exit(0)
}

/** Starts a process for one format; one that falls silent hangs, one that ends early crashed. */
function watch(name, times, seed) {
  return new Promise((resolve) => {
    const child = spawn(
      execPath,
      [argv[1], '--attack', name, '--times', String(times), '--seed', String(seed)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const result = { read: 0, refused: 0, raw: 0, control: 0, crashes: 0, hangs: 0 }
    let [rest, last, errors, finished] = ['', -1, '', false]
    const alarm = () =>
      setTimeout(() => {
        result.hangs++
        stdout.write(`${name}: seed ${last} hangs\n`)
        child.kill('SIGKILL')
      }, hangSeconds * 1000)
    let timer = alarm()
    child.stderr.on('data', (text) => (errors = `${errors}${text}`.slice(-2000)))
    child.stdout.on('data', (text) => {
      clearTimeout(timer)
      timer = alarm()
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop()
      for (const line of lines) {
        const said = JSON.parse(line)
        if (said.begins !== undefined) last = said.begins
        else if (said.counts) [finished] = [true, Object.assign(result, said.counts)]
        else stdout.write(`${name}: ${line}\n`)
      }
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (!finished && result.hangs === 0) {
        result.crashes++
        stdout.write(`${name}: seed ${last} ended the process (${signal ?? code})\n${errors}\n`)
      }
      resolve(result)
    })
  })
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    attack: { type: 'string' },
  },
})
const [times, seed] = [Number(values.times), Number(values.seed)]
if (values.attack) await attack(values.attack, times, seed)
let bad = 0
for (const name of positionals.length > 0 ? positionals : Object.keys(formats)) {
  const started = performance.now()
  const r = await watch(name, times, seed)
  bad += r.raw + r.control + r.crashes + r.hangs
  stdout.write(
    `${name.padEnd(22)} ${times} mutants: ${r.read} read, ${r.refused} refused; ${r.crashes} crashes, ${r.hangs} hangs, ` +
      `${r.raw} other errors, ${r.control} control characters (${((performance.now() - started) / 1000).toFixed(0)} s)\n`,
  )
}
exit(bad === 0 ? 0 : 1)
