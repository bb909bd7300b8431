import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ownerTag, thisProcess } from '../../src/files/owner.js'
import type { KvCache } from '../../src/inference/kv-cache.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { CacheFiles } from '../../src/serve/cache-files.js'
import { scratchFolder } from '../scratch.js'

let model: Model
let caches: KvCache[]
/** Of the file of each. */
let size: number

beforeAll(async () => {
  model = await loadModel('nano')
  caches = []
  for (const name of ['Kim', 'Ann', 'Leo']) caches.push(await model.prefill(`My name is ${name}.`))
  const path = join(scratchFolder(), 'one.kv')
  await caches[0]!.save(path)
  size = statSync(path).size
})
afterAll(() => {
  for (const kv of caches) kv.close()
  model.close()
})

const temporary = (tag: string): string => `.${'a'.repeat(64)}.kv.${tag}.0123abcd.tmp`
const another = { ...thisProcess(), pid: 4711, host: 'node17-0123abcd' }

async function open(cacheDir: string, cacheDirBytes: number): Promise<CacheFiles> {
  const onNote = (note: string): never => {
    throw new Error(note)
  }
  return await CacheFiles.open(model, { cacheDir, cacheDirBytes, onNote })
}

function bytesIn(folder: string): number {
  // One that is listed may have its real name by now.
  const sizeOf = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return readdirSync(folder).reduce((sum, name) => sum + sizeOf(name), 0)
}

describe('a folder for caches', () => {
  it('is rid of what killed servers left as soon as one uses it again', async () => {
    const folder = scratchFolder()
    const kept = temporary(ownerTag(another))
    writeFileSync(join(folder, kept), '')
    writeFileSync(join(folder, temporary(ownerTag({ ...thisProcess(), pid: 2 ** 22 + 1 }))), 'half')
    await open(folder, size)
    expect(readdirSync(folder)).toEqual([kept])
  })

  it('never holds more than it may, temporary files of others counted', async () => {
    const folder = scratchFolder()
    writeFileSync(join(folder, temporary(ownerTag(another))), new Uint8Array(size))
    writeFileSync(join(folder, 'notes.txt'), '')
    // As a file of version 0.1.0 was called while it was written.
    const old = `.${'b'.repeat(64)}.kv.7f1b6f1e-5a0c-4b6e-9d0e-2b7f0a4c9d11.tmp`
    writeFileSync(join(folder, old), new Uint8Array(size))
    const files = await open(folder, 4.5 * size)
    const held: number[] = []
    const timer = setInterval(() => held.push(bytesIn(folder)), 1)
    for (const kv of caches) await files.keep(kv)
    clearInterval(timer)
    expect(Math.max(...held)).toBeLessThanOrEqual(4.5 * size)
    const names = readdirSync(folder)
    expect(names.filter((name) => name.endsWith('.kv'))).toHaveLength(2)
    expect(names).toHaveLength(5)
    const found = await files.find(caches[2]!.contextHash, AbortSignal.timeout(60_000))
    expect(found?.contextHash).toBe(caches[2]!.contextHash)
    found?.close()
  })

  it('is brought under a bound that is lower than before, and holds nothing that is past it alone', async () => {
    const folder = scratchFolder()
    const files = await open(folder, 10 * size)
    for (const kv of caches) await files.keep(kv)
    expect(readdirSync(folder)).toHaveLength(3)
    const lower = await open(folder, 1.5 * size)
    const left = readdirSync(folder)
    expect(left).toHaveLength(1)
    await (await open(folder, size / 2)).keep(caches[0]!)
    expect(readdirSync(folder)).toEqual([])
    await lower.keep(caches[1]!)
    expect(readdirSync(folder)).toHaveLength(1)
  })
})
