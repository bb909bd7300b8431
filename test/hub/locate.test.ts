import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fetchDatasetFile } from '../../src/hub/fetch-dataset.js'
import { locateModel } from '../../src/hub/locate.js'
import { scanModels } from '../../src/hub/scan.js'
import type { HubSettings } from '../../src/hub/settings.js'
import { loadModel } from '../../src/inference/model.js'
import { scratchFolder } from '../scratch.js'
import { everything, model, modelFiles, neededFiles, settingsFor, shard } from './repos.js'
import { commitOf, FakeHub, sha256 } from './server.js'

const hub = new FakeHub([...everything, { ...model, name: 'Qwen/Qwen3-8B' }])
let settings: HubSettings

beforeAll(() => hub.start())
afterAll(() => hub.stop())
beforeEach(() => {
  hub.asked.length = 0
  settings = settingsFor(hub)
})

describe('a model', () => {
  it.each([
    ['by its name on the hub', 'tests/sharded', 'sharded'],
    ['by its name and revision', 'tests/sharded@refs/pr/1', 'sharded'],
    ['by a short name', 'qwen3-8b', 'Qwen3-8B'],
    ['by a short name and revision', 'qwen3-8b@refs/pr/1', 'Qwen3-8B'],
  ])('is found on the hub %s', async (_, name, id) => {
    const located = await locateModel(name, { settings })
    expect(located.id).toBe(id)
    expect(located.path).toMatch(/\/snapshots\/[0-9a-f]{40}$/)
    expect(located.path).toContain(commitOf(model.branches[name.endsWith('pr/1') ? 'refs/pr/1' : 'main']!))
  })

  it('is loaded from the hub, and named without its organisation', async () => {
    const loaded = await loadModel('tests/sharded', { settings, revision: 'main' })
    expect(loaded.description.id).toBe('sharded')
    expect(loaded.description.weights).toHaveLength(2 + 1 + loaded.description.spec.layers.length * 9)
    loaded.close()
  })

  it('is taken from the disk where it is there, without asking the hub', async () => {
    const file = join(scratchFolder(), 'Tiny-Q4.gguf')
    writeFileSync(file, 'GGUF')
    expect(await locateModel(file, { settings })).toEqual({ path: file, id: 'Tiny-Q4' })
    expect((await locateModel('nano', { settings })).id).toBe('nano')
    expect(hub.asked).toEqual([])
  })

  it('has its name when its folder in the cache is given', async () => {
    const { path } = await locateModel('tests/sharded', { settings })
    expect(await locateModel(path, { settings })).toEqual({ path, id: 'sharded' })
  })

  it.each([
    [
      './llama',
      undefined,
      './llama is not a model: give a folder with a config.json, a .gguf file, nano, a short name that headzip models lists, or a name on the hub such as Qwen/Qwen3-8B',
    ],
    [
      'models/llama',
      undefined,
      'there is no models/llama on this disk, and models/llama does not exist on HUB or needs a login (401): check the name, or set HF_TOKEN',
    ],
    ['Qwen/Qwen3-4BB', undefined, 'set HF_TOKEN; did you mean Qwen/Qwen3-4B?'],
    ['nano', 'main', 'a revision goes with a model on the hub, but nano is on this disk'],
    ['tests/sharded@v1', 'v2', 'tests/sharded@v1 names the revision v1, --revision names v2'],
  ])('%s, revision %s, is refused with one sentence', async (name, revision, sentence) => {
    await expect(locateModel(name, { settings, revision })).rejects.toThrow(
      sentence.replaceAll('HUB', hub.endpoint),
    )
  })
})

describe('the cache', () => {
  it('is listed with revisions, sizes, and what is missing or was broken off', async () => {
    await locateModel('tests/sharded', { settings })
    await locateModel('tests/sharded@refs/pr/1', { settings })
    const half = join(settings.cacheFolder, 'models--tests--half')
    mkdirSync(join(half, 'blobs'), { recursive: true })
    writeFileSync(join(half, 'blobs', `${sha256(modelFiles[shard]!)}.incomplete`), 'some')
    const commit = 'f'.repeat(40)
    mkdirSync(join(half, 'snapshots', commit), { recursive: true })
    for (const name of ['config.json', 'model.safetensors.index.json'])
      writeFileSync(join(half, 'snapshots', commit, name), modelFiles[name]!)
    const [broken, whole, ...others] = await scanModels(settings.cacheFolder)
    expect(others).toEqual([])
    const shards = neededFiles.filter((name) => name.startsWith('model-'))
    expect(broken).toMatchObject({ name: 'tests/half', bytes: 4, unfinishedBytes: 4 })
    expect(broken?.revisions).toMatchObject([{ commit, refs: [], missing: shards }])
    const size = neededFiles.reduce((sum, name) => sum + modelFiles[name]!.length, 0)
    const { main, 'refs/pr/1': changed } = model.branches
    expect(whole?.bytes).toBe(size + changed!['tokenizer_config.json']!.length)
    expect(whole?.unfinishedBytes).toBe(0)
    const revisions = whole?.revisions.map(({ commit: each, refs, missing }) => [each, refs, missing])
    expect(revisions).toEqual(
      [
        [commitOf(main!), ['main'], []],
        [commitOf(changed!), ['refs/pr/1'], []],
      ].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    )
    expect(whole?.revisions.find(({ refs }) => refs[0] === 'main')?.bytes).toBe(size)
  })

  it('may be absent', async () => {
    expect(await scanModels(join(scratchFolder(), 'none'))).toEqual([])
  })
})

describe('a file of a data set', () => {
  const path = 'data/few rows.parquet'

  it('comes from the hub, and the second time from the cache', async () => {
    const file = await fetchDatasetFile('tests/data', path, { settings })
    expect(file).toMatch(/datasets--tests--data\/snapshots\/[0-9a-f]{40}\/data\/few rows\.parquet$/)
    hub.asked.length = 0
    expect(await fetchDatasetFile('tests/data', path, { settings: { ...settings, offline: true } })).toBe(
      file,
    )
    expect(hub.asked).toEqual([])
  })

  it.each([
    ['tests/data', 'data/none.parquet', {}, 'tests/data holds no file data/none.parquet'],
    ['tests/data', '../up', {}, "a file in a repository is named like data/file.parquet, got '../up'"],
    ['tests', 'a', {}, "a dataset on the hub is named org/name, got 'tests'"],
    ['tests/data', 'a', { revision: 'v2' }, 'tests/data has no revision v2 on HUB'],
    ['tests/sharded', 'a', {}, 'tests/sharded does not exist on HUB or needs a login (401)'],
  ])('%s %s %j is refused with one sentence', async (name, file, options, sentence) => {
    await expect(fetchDatasetFile(name, file, { settings, ...options })).rejects.toThrow(
      sentence.replaceAll('HUB', hub.endpoint),
    )
  })

  it('is missed in an offline cache', async () => {
    await expect(
      fetchDatasetFile('tests/data', path, { settings: { ...settings, offline: true } }),
    ).rejects.toThrow(
      /^tests\/data is incomplete \(without data\/few rows\.parquet\) in the cache .*, and HF_HUB_OFFLINE is set$/,
    )
  })
})
