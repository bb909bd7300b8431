import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { everything } from '../hub/repos.js'
import { FakeHub } from '../hub/server.js'
import { scratchFolder } from '../scratch.js'
import { headzip, type Outcome } from './headzip.js'

const hub = new FakeHub(everything)
beforeAll(() => hub.start())
afterAll(() => hub.stop())

/** As in a job of Slurm: stderr is no terminal, and nothing was chosen. */
const inAJob = { HEADZIP_PROGRESS: '' }

const percentages = /^sample_(qa_eng|repoqa) 0: \d+%, (\d+ min )?\d+ s left, \d+\.\d%\/(s|min)$/

describe('without a terminal', () => {
  it('scoring says how far it is on stderr, and stdout holds one JSON value', async () => {
    const args = ['score', 'nano', '-o', join(scratchFolder(), 'scores')]
    const { code, out, err } = await headzip([...args, '--threads', '1', '--json'], { env: inAJob })
    expect(code).toBe(0)
    const lines = err.trimEnd().split('\n')
    expect(lines[0]).toMatch(percentages)
    expect(lines.every((line) => percentages.test(line) || line.includes('done in'))).toBe(true)
    expect((JSON.parse(out) as object[])[0]).toMatchObject({ model: 'nano', method: 'kvzip' })
  })

  it('a download says how much has come, and at what pace', async () => {
    hub.chunk = 16 * 1024
    hub.delay = 150
    const { code, err } = await download({ ...inAJob })
    expect(code).toBe(0)
    expect(err.split('\n')[0]).toMatch(
      /^tests\/sharded: \d+%, [\d.]+ (bytes|KiB|MiB) of [\d.]+ (KiB|MiB), (\d+ min )?\d+ s left, \d+\.\d MiB\/s$/,
    )
  })

  it('nothing is said with --progress none', async () => {
    hub.chunk = 16 * 1024
    hub.delay = 150
    const { code, err } = await download(inAJob, '--progress', 'none')
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  it.each([
    ['--progress bar', ['--progress', 'bar'], {}, /^--progress bar needs stderr to be a terminal/],
    [
      'HEADZIP_PROGRESS=bars',
      [],
      { HEADZIP_PROGRESS: 'bars' },
      /^HEADZIP_PROGRESS must be plain, bar or none, got 'bars'$/,
    ],
  ])('%s is refused before any work', async (_, args, env, sentence) => {
    const { code, out, err } = await headzip(['models', ...args], { env })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err.trimEnd()).toMatch(sentence)
  })
})

function download(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  const own = { HF_HOME: join(scratchFolder(), 'hf'), HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: '' }
  return headzip(['download', 'tests/sharded', ...args], {
    env: { ...own, HF_TOKEN: '', HF_HUB_OFFLINE: '', NO_PROXY: '*', no_proxy: '*', ...env },
  })
}
