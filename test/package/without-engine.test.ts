import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { addonPaths, buildCommand } from '../../src/engine/addon-paths.js'
import { runNode } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { type Copy, checkoutCopy, givePrebuilt, installedCopy } from './copies.js'

const prebuiltHere = process.platform === 'linux' && process.arch === 'x64'

describe('an installed package without an engine', () => {
  let copy: Copy
  const headzip = (...args: string[]) =>
    runNode([copy.main, ...args], { cwd: copy.folder, env: { HEADZIP_ADDON: '' } })
  beforeAll(() => {
    copy = installedCopy(['dist'])
  })

  it('says what is missing and the command that works in a user’s folder', async () => {
    const { code, err } = await headzip('score', 'nano')
    expect(err).toBe(
      `the native engine cannot be loaded (${join(copy.root, 'build/Release/headzip.node')} is not there); build it with: npm rebuild headzip\n`,
    )
    expect(code).toBe(2)
  })

  it('doctor runs and tells the same', async () => {
    const { code, out, err } = await headzip('doctor', '--json')
    expect(err).toBe('')
    expect(code).toBe(0)
    const found = JSON.parse(out) as Record<string, string>
    expect(found.node).toBe(process.version)
    expect(found.addon).toMatch(/^none: the native engine .*; build it with: npm rebuild headzip$/)
    expect(found.cpu).toBe('unknown without the addon')
  })

  it.each([
    [['--help']],
    [['--version']],
    [['models']],
    [['data', 'list']],
    [['compare', 'SCORES/merged.arrow', 'SCORES/duo-estimate/merged.arrow']],
    [['merge', 'SCORES/sample_qa_eng-0.arrow', 'SCORES/sample_repoqa-0.arrow', '-o', 'merged.arrow']],
    [['export', 'SCORES/merged.arrow', '--to', 'duo', '-o', 'duo']],
    [['import', 'SCORES/merged.arrow', '-o', 'imported.arrow']],
    [['stability', 'SCORES/sample_qa_eng-0.arrow', 'SCORES/sample_repoqa-0.arrow']],
    [['report', 'SCORES/merged.arrow', '-o', 'report']],
  ])('%j needs none', async (args) => {
    const scores = join(copy.root, 'head_scores/nano')
    const { code, out, err } = await headzip(...args.map((arg) => arg.replace('SCORES', scores)))
    expect(err).not.toContain('engine')
    expect(code).toBe(0)
    expect(out).not.toBe('')
  })

  it.runIf(prebuiltHere)('uses the prebuilt one that the package carries', async () => {
    const prebuilt = givePrebuilt(copy)
    const { out } = await headzip('doctor', '--json')
    rmSync(prebuilt)
    expect(JSON.parse(out)).toMatchObject({ addon: prebuilt, cpu: expect.stringContaining('threads') })
  })

  it.runIf(prebuiltHere)(
    'takes what was compiled here first, and the prebuilt one when that does not load',
    () => {
      const { root } = installedCopy(['dist'])
      const prebuilt = givePrebuilt({ root, folder: '', main: '' })
      expect(addonPaths(root, undefined)).toEqual([join(root, 'build/Release/headzip.node'), prebuilt])
      expect(addonPaths(root, '/my/headzip.node')[0]).toBe('/my/headzip.node')
    },
  )

  it.runIf(prebuiltHere)('names each engine that does not load', async () => {
    for (const path of [join(copy.root, 'build/Release/headzip.node'), givePrebuilt(copy)]) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, 'not a shared object')
    }
    const { code, err } = await headzip('score', 'nano')
    expect(err).toMatch(
      /build\/Release\/headzip\.node does not load: .*; .*headzip\.glibc\.node does not load: /,
    )
    expect(err).toMatch(/; build it with: npm rebuild headzip\n$/)
    expect(code).toBe(2)
  })
})

describe('a checkout without an engine', () => {
  it('says the command that works in a checkout', async () => {
    const { root, main } = checkoutCopy(['dist'])
    const { code, err } = await runNode([main, 'score', 'nano'], { cwd: root, env: { HEADZIP_ADDON: '' } })
    expect(err).toMatch(/; build it with: npm run setup\n$/)
    expect(code).toBe(2)
  })
})

describe('the command that builds the engine', () => {
  it('names the folder to run it in where that is another one', () => {
    const app = scratchFolder()
    const root = join(app, 'node_modules/headzip/')
    expect(buildCommand(root, app)).toBe('npm rebuild headzip')
    expect(buildCommand(root, '/elsewhere')).toBe(`npm rebuild headzip (in ${app})`)
  })

  it('is run in the folder of the whole project when headzip came with another package', () => {
    const app = scratchFolder()
    expect(buildCommand(join(app, 'node_modules/other/node_modules/headzip/'), app)).toBe(
      'npm rebuild headzip',
    )
  })
})
