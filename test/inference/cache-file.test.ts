import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KvCache } from '../../src/inference/kv-cache.js'
import type { Level } from '../../src/inference/levels.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { packageRoot, runNode } from '../cli/headzip.js'
import { makeScores } from '../scores/make.js'
import { scratchFolder } from '../scratch.js'
import { changedHeader, withHeader } from './kv-file.js'
import { writeTinyChat } from './tiny-chat.js'

const profile = 'My name is Kim. I live in Seoul and study computer science. '.repeat(8)
const query = 'What is my name?'
const long = { maxNewTokens: 20, ignoreEos: true }
let model: Model
let kv: KvCache
let file: string
let bytes: Buffer

beforeAll(async () => {
  model = await loadModel(writeTinyChat())
  kv = await model.prefill(profile, { level: 'pair', ratio: 0.4 })
  file = join(scratchFolder(), 'profile.kv')
  await kv.save(file)
  bytes = readFileSync(file)
})
afterAll(() => model.close())

async function expectRefused(content: Buffer, message: RegExp, by: Model = model) {
  const path = join(scratchFolder(), 'bad.kv')
  writeFileSync(path, content)
  await expect(by.restore(path)).rejects.toThrow(message)
  await expect(by.restore(path)).rejects.toMatchObject({ code: 'HEADZIP_INPUT' })
}

/** A file as large as its header tells, though nothing but the header is on the disk. */
function sparse(change: (header: Record<string, unknown>) => void, headerBytes?: number): string {
  const path = join(scratchFolder(), 'sparse.kv')
  const { start, text, header } = changedHeader(bytes, change)
  if (headerBytes !== undefined) start.writeUInt32LE(headerBytes, 12)
  writeFileSync(path, Buffer.concat([start, text]))
  const { vocab, lengths } = header as { vocab: number; lengths: number[] }
  const entries = lengths.reduce((sum, length) => sum + length, 0)
  const payload = 4 * vocab + entries * (2 * 4 * kv.model.headDim + 4)
  truncateSync(path, 16 + (headerBytes ?? text.length) + payload + 32)
  return path
}

describe('a saved cache', () => {
  it('answers as the one that was saved, in another engine of the same model', async () => {
    const other = await loadModel(model.description.folder)
    const restored = await other.restore(file)
    expect(restored.info).toMatchObject({
      prefix: kv.info.prefix,
      context: kv.info.context,
      position: kv.info.position,
      usedBytes: kv.bytes,
      evicted: true,
    })
    expect(restored.pruned).toEqual(kv.pruned)
    expect(restored.contextHash).toBe(kv.contextHash)
    expect(restored.fullBytes).toBe(kv.fullBytes)
    expect(restored.lastLogits).toEqual(kv.lastLogits)
    const [a, b] = [
      await model.generate(query, { kv, ...long }),
      await other.generate(query, { kv: restored, ...long }),
    ]
    expect(b.text).toBe(a.text)
    expect(b.firstLogits).toEqual(a.firstLogits)
    expect(() => restored.prune({ level: 'pair', ratio: 0.5 })).toThrow(/pair scores/)
    other.close()
  })

  it.each<Level>(['head', 'streaming', 'pair-uniform'])(
    'keeps what level %s left, conversation and window',
    async (level) => {
      const scores = makeScores({ provenance: { modelHash: '' } })
      const talk = await model.prefill(profile, { level, ratio: 0.5, scores, sink: 4, recent: 9 })
      await model.generate('Hello, who are you?', { kv: talk, ...long, updateCache: true })
      const path = join(scratchFolder(), 'talk.kv')
      await talk.save(path)
      const restored = await model.restore(path)
      expect(restored.native.lengths()).toEqual(talk.native.lengths())
      expect(restored.native.windows()).toEqual(talk.native.windows())
      expect(talk.native.windows().some((n) => n === 9)).toBe(level === 'streaming')
      for (const turn of ['And where do I live?', 'And then?']) {
        const a = await model.generate(turn, { kv: talk, ...long, updateCache: true })
        const b = await model.generate(turn, { kv: restored, ...long, updateCache: true })
        expect(b.firstLogits).toEqual(a.firstLogits)
        expect(b.ids).toEqual(a.ids)
      }
    },
  )

  it('is the same file every time, and replaces another only when told to', async () => {
    await expect(kv.save(file)).rejects.toThrow(/exists/)
    writeFileSync(file, 'old')
    await kv.save(file, { force: true })
    expect(readFileSync(file).equals(bytes)).toBe(true)
  })

  it('leaves nothing behind when its folder cannot be written or the job is aborted', async () => {
    const folder = scratchFolder()
    await expect(kv.save(join(file, 'below-a-file.kv'))).rejects.toThrow(/cannot be written/)
    const path = join(folder, 'never.kv')
    await expect(kv.save(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
    expect(existsSync(path)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    await expect(model.restore(file, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
  })

  it('cannot be changed while it is written', async () => {
    const talk = kv.clone()
    const saving = talk.save(join(scratchFolder(), 'talk.kv'))
    expect(() => talk.close()).toThrow(/in use/)
    await expect(model.generate(query, { kv: talk, updateCache: true })).rejects.toThrow(/in use/)
    await saving
    talk.close()
  })
})

describe('a file is refused with one sentence', () => {
  it('that is missing, empty, or something else', async () => {
    await expect(model.restore('/nowhere/cache.kv')).rejects.toThrow(/^\/nowhere\/cache.kv cannot be read: /)
    await expectRefused(Buffer.alloc(0), /is not a cache that headzip saved$/)
    await expectRefused(Buffer.from('PAR1 something else entirely'), /is not a cache that headzip saved$/)
    await expectRefused(readFileSync('models/nano/config.json'), /is not a cache that headzip saved$/)
  })

  it('that another model wrote, whatever its shape', async () => {
    const nano = await loadModel('nano')
    await expectRefused(bytes, /holds a cache of headzip-test-\w+, not of the nano that is loaded$/, nano)
    // Same folder name would not save it: config and weights count.
    const twin = await loadModel(writeTinyChat({ inner: 38 }))
    await expectRefused(bytes, /not of the headzip-test-\w+ that is loaded$/, twin)
    nano.close()
    twin.close()
  })

  it('that a newer version wrote, or an engine of other arithmetic', async () => {
    const newer = Buffer.from(bytes)
    newer.writeUInt32LE(3, 8)
    await expectRefused(newer, /is a cache of version 3; this headzip reads version 2$/)
    const foreign = withHeader(bytes, (header) =>
      Object.assign(header.model as object, { arithmetic: 'cuda/bf16' }),
    )
    await expectRefused(foreign, /made in cuda\/bf16, but this engine computes in cpu\/fp32$/)
  })

  it('that was cut anywhere', async () => {
    for (const size of [15, 16, 40, 500, 3000, bytes.length - 33, bytes.length - 1])
      await expectRefused(
        bytes.subarray(0, size),
        /truncated cache: it has \d+|not a cache that headzip saved/,
      )
    await expectRefused(Buffer.concat([bytes, Buffer.alloc(1)]), /is a damaged cache/)
  })

  it('that was changed anywhere, and the model works on', async () => {
    for (let i = 0; i < 200; i++) {
      const at = i < 60 ? i * 7 : Math.floor((i / 200) * bytes.length)
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1 + (i % 255)
      await expectRefused(changed, /is a|is not a|holds a/)
    }
    expect((await model.generate(query, { kv, ...long })).ids.length).toBe(20)
  })

  const first = (list: unknown, value: unknown): void => void Object.assign(list as object, { 0: value })
  it.each<[string, (header: Record<string, unknown>) => void]>([
    ['lengths past the position', (h) => Object.assign(h, { position: 10 })],
    ['a position past the model', (h) => Object.assign(h, { position: 1e6 })],
    ['one length fewer', (h) => (h.lengths as number[]).pop()],
    ['a negative length', (h) => first(h.lengths, -5)],
    ['a length that is no number', (h) => first(h.lengths, '5')],
    [
      'a window in a cache that was not pruned',
      (h) => Object.assign(Object.assign(h, { evicted: false }).windows as object, { 1: 4 }),
    ],
    ['other logits', (h) => Object.assign(h, { vocab: 17 })],
    ['more tokens than the model has positions', (h) => Object.assign(h, { position: 4097 })],
    ['no model', (h) => delete h.model],
    ['no context', (h) => delete h.contextHash],
    ['a head_dim of another kind', (h) => Object.assign(h.model as object, { headDim: 1e9 })],
  ])('whose header tells of %s, checksum or not', async (_, change) => {
    const path = join(scratchFolder(), 'bad.kv')
    writeFileSync(path, withHeader(bytes, change))
    await expect(model.restore(path)).rejects.toThrow(
      /truncated|damaged|a cache's|a cache with|a cache needs/,
    )
  })

  it('that claims more than the model can have, before memory is reserved for it', async () => {
    const heads = kv.native.lengths().length
    const claims: [string, RegExp][] = [
      [
        sparse((h) => Object.assign(h, { vocab: 500_000_000 })),
        /is a damaged cache: it claims a vocabulary of 500000000 entries, where the model's has 4096$/,
      ],
      [
        sparse((h) => Object.assign(h, { position: 1e7, context: 1e7, lengths: Array(heads).fill(1e7) })),
        /is a damaged cache: it claims 10000000 tokens, where the model has 4096 positions$/,
      ],
      [
        sparse((h) => Object.assign(h, { lengths: Array(heads).fill(1e7) })),
        /is a damaged cache: it claims a head with 10000000 entries, where there are \d+ tokens$/,
      ],
      [
        sparse(() => {}, 60_000_000),
        /is a damaged cache: it claims a header of 60000000 bytes, where at most \d+ are possible$/,
      ],
    ]
    const script = `
      const { loadModel } = await import(${JSON.stringify(`file://${packageRoot}/dist/index.js`)})
      const model = await loadModel(${JSON.stringify(model.description.folder)}, { device: 'cpu' })
      const peak = () => process.resourceUsage().maxRSS / 1024
      const before = peak()
      const said = []
      for (const path of ${JSON.stringify(claims.map(([path]) => path))})
        said.push(await model.restore(path).then(() => 'restored', (error) => error.message))
      console.log(JSON.stringify({ said, grown: peak() - before }))`
    const ran = await runNode(['--input-type=module', '-e', script])
    expect(ran).toMatchObject({ code: 0, err: '' })
    const { said, grown } = JSON.parse(ran.out) as { said: string[]; grown: number }
    expect(grown).toBeLessThan(50) // MiB
    expect(said).toEqual(claims.map(([, message]) => expect.stringMatching(message)))
  })

  it('whose logits are no numbers', async () => {
    const at = 16 + bytes.readUInt32LE(12) + 40
    const body = Buffer.from(bytes.subarray(0, -32))
    body.writeFloatLE(Number.NaN, at)
    const file = Buffer.concat([body, createHash('sha256').update(body).digest()])
    await expectRefused(file, /is a damaged cache/)
  })
})
