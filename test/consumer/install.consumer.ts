import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import semver from 'semver'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Outcome, packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { pathWithoutCompilers, readmeExample, runIn } from './user.js'

const quiet = ['--no-audit', '--no-fund']
const PATH = pathWithoutCompilers()
let tarball: string

beforeAll(async () => {
  const folder = scratchFolder()
  const { code, out, err } = await runIn(packageRoot, 'npm', ['pack', '--json', '--pack-destination', folder])
  expect(err).not.toMatch(/error|failed/i)
  expect(code).toBe(0)
  const [{ filename }] = JSON.parse(out) as [{ filename: string }]
  tarball = join(folder, filename)
})

function packageOf(app: string): string {
  return join(app, 'node_modules/headzip')
}

function doctor(outcome: Outcome): Record<string, string> {
  expect(outcome.err).toBe('')
  expect(outcome.code).toBe(0)
  return JSON.parse(outcome.out) as Record<string, string>
}

describe('installed into an empty folder, without a compiler', () => {
  const app = scratchFolder()
  let installed: Outcome
  beforeAll(async () => {
    installed = await runIn(app, 'npm', ['install', '--engine-strict', ...quiet, tarball], { PATH })
  })

  it('installs under --engine-strict without a word about engines', () => {
    expect(installed.err).not.toContain('EBADENGINE')
    expect(installed.code).toBe(0)
  })

  it('brings no package that refuses Node 20.19', () => {
    const { packages } = JSON.parse(readFileSync(join(app, 'node_modules/.package-lock.json'), 'utf8')) as {
      packages: Record<string, { engines?: { node?: string } }>
    }
    expect(Object.keys(packages).length).toBeGreaterThan(100)
    const refusing = Object.entries(packages).filter(
      ([, { engines }]) => !semver.satisfies('20.19.0', engines?.node ?? '*'),
    )
    expect(refusing.map(([path]) => path)).toEqual([])
  })

  it('runs on the prebuilt engine; nothing was compiled', async () => {
    const { addon } = doctor(await runIn(app, 'npx', ['headzip', 'doctor', '--json'], { PATH }))
    expect(addon).toBe(join(packageOf(app), 'prebuilds/linux-x64/headzip.glibc.node'))
    expect(existsSync(join(packageOf(app), 'build'))).toBe(false)
  })

  it('runs the example of its README as it stands', async () => {
    writeFileSync(join(app, 'example.mjs'), readmeExample())
    const { code, out, err } = await runIn(app, 'node', ['example.mjs'], { PATH })
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(out.trim()).not.toBe('')
  })

  it.each(['nodenext', 'bundler'])(
    'gives that example types when modules are resolved as %s',
    async (resolution) => {
      writeFileSync(join(app, 'example.mts'), readmeExample())
      const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc')
      const modules = resolution === 'bundler' ? 'esnext' : resolution
      const args = [
        '--module',
        modules,
        '--moduleResolution',
        resolution,
        '--target',
        'es2023',
        '--types',
        'node',
      ]
      const { code, out } = await runIn(app, 'node', [tsc, '--noEmit', '--strict', ...args, 'example.mts'])
      expect(out).toBe('')
      expect(code).toBe(0)
    },
  )

  it('can be required, too', async () => {
    const script = "console.log(typeof require('headzip').loadModel)"
    const { out } = await runIn(app, 'node', ['-e', script], { PATH })
    expect(out).toBe('function\n')
  })

  it('runs the demo', async () => {
    const { code, out } = await runIn(app, 'npx', ['headzip', 'demo'], { PATH })
    expect(code).toBe(0)
    expect(out).toMatch(/^full cache +100\.0%/m)
    expect(existsSync(join(app, 'headzip-demo/report/index.html'))).toBe(true)
  })

  it('HEADZIP_BUILD=source compiles the sources that the package carries', async () => {
    // CUDACXX: kernels for GPUs take minutes, and .ci/run compiles them.
    const source = { HEADZIP_BUILD: 'source', CUDACXX: '/nowhere/nvcc' }
    const { code, out, err } = await runIn(app, 'npm', ['rebuild', 'headzip', '--foreground-scripts'], source)
    expect(`${out}${err}`).not.toContain('did not compile')
    expect(code).toBe(0)
    const { addon } = doctor(await runIn(app, 'npx', ['headzip', 'doctor', '--json']))
    expect(addon).toBe(join(packageOf(app), 'build/Release/headzip.node'))
  })
})

describe('installed with --ignore-scripts', () => {
  const app = scratchFolder()
  const score = ['headzip', 'score', 'nano', '--data', 'own.jsonl']
  beforeAll(async () => {
    const { code } = await runIn(
      app,
      'npm',
      ['install', '--engine-strict', '--ignore-scripts', ...quiet, tarball],
      { PATH },
    )
    expect(code).toBe(0)
    writeFileSync(join(app, 'own.jsonl'), `${JSON.stringify({ prompts: ['My name is Kim.'] })}\n`)
  })

  it('works all the same where the prebuilt engine fits', async () => {
    const { code, err } = await runIn(app, 'npx', score, { PATH })
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(existsSync(join(app, 'head_scores/nano/own-0.arrow'))).toBe(true)
  })

  describe('and without a prebuilt engine', () => {
    const kept = join(scratchFolder(), 'prebuilds')
    beforeAll(() => {
      cpSync(join(packageOf(app), 'prebuilds'), kept, { recursive: true })
      rmSync(join(packageOf(app), 'prebuilds'), { recursive: true })
    })

    it('says which command brings one', async () => {
      const { code, err } = await runIn(app, 'npx', [...score, '--force'], { PATH })
      expect(err).toMatch(/^the native engine cannot be loaded \(.*\); build it with: npm rebuild headzip\n$/)
      expect(code).toBe(2)
    })

    it('doctor and what needs no engine run', async () => {
      expect(doctor(await runIn(app, 'npx', ['headzip', 'doctor', '--json'], { PATH })).addon).toMatch(
        /^none: /,
      )
      const scores = join(packageOf(app), 'head_scores/nano/merged.arrow')
      const exported = await runIn(app, 'npx', ['headzip', 'export', scores, '--to', 'duo', '-o', 'duo'], {
        PATH,
      })
      expect(exported.code).toBe(0)
      expect(existsSync(join(app, 'duo/full_attention_heads.tsv'))).toBe(true)
    })

    it('that command says what a compiler is missing for, and brings the engine once it can', async () => {
      const rebuild = ['rebuild', 'headzip', '--foreground-scripts']
      const refused = await runIn(app, 'npm', rebuild, { PATH })
      expect(`${refused.out}${refused.err}`).toContain('The native engine cannot be built without cmake')
      expect(refused.code).not.toBe(0)
      cpSync(kept, join(packageOf(app), 'prebuilds'), { recursive: true })
      expect((await runIn(app, 'npm', rebuild, { PATH })).code).toBe(0)
      expect(doctor(await runIn(app, 'npx', ['headzip', 'doctor', '--json'], { PATH })).addon).not.toMatch(
        /^none/,
      )
    })
  })
})
