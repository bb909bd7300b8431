import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { headzip, type Outcome, type RunOptions, runNode } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { everything, modelFiles, neededFiles, shard } from './repos.js'
import { commitOf, FakeHub, sha256 } from './server.js'

const hub = new FakeHub(everything)
const cases = fileURLToPath(new URL('../fixtures/models/llama-sharded', import.meta.url))
const snapshotIn = (home: string): string =>
  join(home, 'hub/models--tests--sharded/snapshots', commitOf(modelFiles))
let home: string

beforeAll(() => hub.start())
afterAll(() => hub.stop())
beforeEach(() => {
  hub.asked.length = 0
  hub.delay = 0
  hub.chunk = 64 * 1024
  home = join(scratchFolder(), 'hf')
})

function run(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return headzip(args, { ...options, env: { ...environment(), ...options.env } })
}

/** What `headzip download tests/sharded` does, without the time that the command line takes to load. */
function download(started?: (child: ChildProcess) => void): Promise<Outcome> {
  const locate = new URL('../../dist/hub/locate.js', import.meta.url).href
  const script = `
    const { locateModel } = await import(${JSON.stringify(locate)})
    console.log((await locateModel('tests/sharded')).path)`
  const args = ['--input-type=module', '-e', script]
  return runNode(args, { env: environment(), ...(started && { started }) })
}

function environment(): Record<string, string> {
  const direct = { NO_PROXY: '*', no_proxy: '*' }
  return {
    ...{ HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: '', HF_HUB_OFFLINE: '', HF_HUB_CACHE: '' },
    ...direct,
  }
}

function expectWhole(): void {
  expect(readdirSync(snapshotIn(home)).sort()).toEqual(neededFiles)
  for (const name of neededFiles)
    expect(sha256(readFileSync(join(snapshotIn(home), name)))).toBe(sha256(modelFiles[name]!))
}

/** How often each content was sent. */
const sent = (): Map<string, number> =>
  hub.asked
    .filter(({ host }) => host === 'files')
    .reduce((counts, { url }) => counts.set(url, (counts.get(url) ?? 0) + 1), new Map<string, number>())

describe('the command line', () => {
  it('downloads a model and checks its numbers, and finds it again without the hub', async () => {
    const verified = await run(['verify', 'tests/sharded', '--cases', cases, '--json'])
    expect(verified.err).toBe('')
    expect(JSON.parse(verified.out)).toMatchObject({ model: 'sharded', passed: true })
    expectWhole()
    hub.asked.length = 0
    const offline = { HF_HUB_OFFLINE: '1', HF_ENDPOINT: 'http://127.0.0.1:9' }
    expect((await run(['download', 'tests/sharded'], { env: offline })).out).toBe(`${snapshotIn(home)}\n`)
    expect(hub.asked).toEqual([])
    const listed = await run(['models', '--json'])
    expect((JSON.parse(listed.out) as { cached: unknown }).cached).toMatchObject([
      {
        name: 'tests/sharded',
        unfinishedBytes: 0,
        revisions: [{ commit: commitOf(modelFiles), refs: ['main'], missing: [], complete: true }],
      },
    ])
  })

  it('says in one sentence, with exit code 2, why a model may not be read', async () => {
    const { code, err, out } = await run(['download', 'tests/secret'], { env: { HF_TOKEN: 'hf_wrong' } })
    expect(err.replaceAll(hub.endpoint, 'HUB')).toBe(
      'HUB refuses tests/secret (403): accept its terms at HUB/tests/secret, and use a token that may read it\n',
    )
    expect({ code, out }).toEqual({ code: 2, out: '' })
  })

  it('leaves what came for the next run when it is interrupted', async () => {
    hub.chunk = 4096
    hub.delay = 20
    const interrupted = await run(['download', 'tests/sharded'], {
      started: (child) => whenDownloading(() => child.kill('SIGINT')),
    })
    expect(interrupted).toMatchObject({ code: 130, out: '' })
    expect(existsSync(join(home, 'hub/models--tests--sharded/refs/main'))).toBe(false)
    hub.delay = 0
    hub.asked.length = 0
    expect((await download()).out).toBe(`${snapshotIn(home)}\n`)
    expect(hub.asked.filter(({ host, range }) => host === 'files' && range !== undefined)).not.toEqual([])
    expectWhole()
  })
})

describe('two processes on one cache', () => {
  it('both end right, and the second waits for what the first downloads', async () => {
    hub.chunk = 4096
    hub.delay = 10
    const both = await Promise.all([download(), download()])
    for (const { code, out, err } of both) {
      expect({ code, err, out }).toEqual({ code: 0, err: '', out: `${snapshotIn(home)}\n` })
    }
    expectWhole()
    expect([...sent().values()]).toEqual([1, 1, 1])
  })

  it('the second takes over where the first was killed', async () => {
    hub.chunk = 4096
    hub.delay = 10
    const first = download((child) => whenDownloading(() => child.kill('SIGKILL')))
    const second = download()
    expect((await first).code).toBeNull()
    const { code, out, err } = await second
    expect({ code, err, out }).toEqual({ code: 0, err: '', out: `${snapshotIn(home)}\n` })
    expectWhole()
  })
})

/** Acts once some of the shard has been written. */
function whenDownloading(act: () => void): void {
  const incomplete = join(
    home,
    'hub/models--tests--sharded/blobs',
    `${sha256(modelFiles[shard]!)}.incomplete`,
  )
  const timer = setInterval(() => {
    if (!existsSync(incomplete) || readFileSync(incomplete).length < 8192) return
    clearInterval(timer)
    act()
  }, 5)
}
