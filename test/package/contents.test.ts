import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import semver from 'semver'
import { beforeAll, describe, expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'

interface Manifest {
  scripts: Record<string, string>
  files: string[]
  keywords?: string[]
  homepage?: string
  bugs?: string
  repository?: { url: string }
  overrides?: unknown
}

const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as Manifest

/** What `npm pack` would put in from this folder as it is. */
async function wouldPack(): Promise<string[]> {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const { stdout } = await promisify(execFile)('npm', args, { cwd: packageRoot, maxBuffer: 1 << 24 })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  return files.map(({ path }) => path)
}

describe('the npm package', () => {
  let packed: string[]
  beforeAll(async () => {
    packed = await wouldPack()
  })

  it('is made by a script that builds what git does not hold', () => {
    expect(manifest.scripts.prepack).toBe('node scripts/prepack.mjs')
    expect(manifest.scripts.prebuild).toBe('node scripts/prebuild.mjs')
    // npm would run prebuild before a script of that name
    expect(manifest.scripts.build).toBeUndefined()
  })

  it('holds what users need, the licence notices of the embedded model included', () => {
    for (const path of [
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
      'head_scores/nano/merged.arrow',
      'models/nano/model.safetensors',
      'models/nano/NOTICE',
      'docs/install.md',
      'CHANGELOG.md',
      'LICENSE',
      'native/prebuilt/target.cmake',
      'scripts/install.mjs',
    ])
      expect(packed).toContain(path)
    expect(manifest.files).toContain('prebuilds')
  })

  it('holds nothing that only developers need', () => {
    const spare =
      /^(src|test|bench|\.ci|build)\/|\.(py|png|html|tgz)$|^dist\/.*\.map$|^cuda\/dev\/|\/\.|setup|gallery\.mjs|prepack/
    expect(packed.filter((path) => spare.test(path))).toEqual([])
  })

  it('holds every script that its install script imports', () => {
    const scripts = packed.filter((path) => path.startsWith('scripts/'))
    expect(scripts).not.toHaveLength(0)
    for (const script of scripts)
      for (const [, imported] of readFileSync(join(packageRoot, script), 'utf8').matchAll(
        /from '\.\/(.+?)'/g,
      ))
        expect(scripts).toContain(`scripts/${imported}`)
  })

  it('holds all that its README links to and shows', () => {
    const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8')
    const links = [...readme.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(
      ([, link, source]) => link ?? source ?? '',
    )
    const local = links.filter((link) => !/^(https?:|#)/.test(link)).map((link) => link.replace(/#.*/, ''))
    expect(local).not.toHaveLength(0)
    expect(local.filter((link) => !packed.includes(link))).toEqual([])
  })

  it('says where it comes from, so that an npm page can show its pictures', () => {
    expect(manifest.repository?.url).toMatch(/^git\+https:\/\/.+\.git$/)
    expect(manifest.homepage).toMatch(/^https:/)
    expect(manifest.bugs).toMatch(/^https:/)
    expect(manifest.keywords).toContain('kv-cache')
  })

  it('lets score files, the embedded model and the haystack be found by name', () => {
    const { resolve } = createRequire(import.meta.url)
    for (const path of [
      'package.json',
      'head_scores/nano/merged.arrow',
      'head_scores/nano/duo-estimate/merged.arrow',
      'models/nano/config.json',
      'models/nano/model.safetensors',
      'data/haystack/1-job.txt',
    ]) {
      expect(resolve(`headzip/${path}`)).toBe(join(packageRoot, path))
      expect(existsSync(join(packageRoot, path))).toBe(true)
      expect(packed).toContain(path)
    }
  })

  it('needs nothing that refuses Node 20.19, without overrides, which would not reach users', () => {
    expect(manifest.overrides).toBeUndefined()
    const { packages } = JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean; version: string; engines?: { node?: string } }>
    }
    const users = Object.entries(packages).filter(([, { dev }]) => dev !== true)
    expect(users.length).toBeGreaterThan(100)
    const refusing = users.filter(([, { engines }]) => !semver.satisfies('20.19.0', engines?.node ?? '*'))
    expect(refusing.map(([path]) => path)).toEqual([])
  })
})
