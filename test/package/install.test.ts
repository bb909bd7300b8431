import { chmodSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runNode } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { type Copy, checkoutCopy, compiledAddon, givePrebuilt, installedCopy } from './copies.js'

/** A PATH without compilers, and a CUDA compiler that is nowhere unless the test has one. */
const bare = { PATH: scratchFolder(), CUDACXX: '/nowhere/nvcc', CXX: '' }

const install = ({ root }: Copy, env: Record<string, string> = {}) =>
  runNode([join(root, 'scripts/install.mjs')], { cwd: root, env: { ...bare, HEADZIP_BUILD: '', ...env } })

const noCompiler = /^The native engine cannot be built without cmake and .*; install with: /

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the install script', () => {
  it('takes the prebuilt engine, and needs no compiler then', async () => {
    const copy = installedCopy(['scripts'])
    givePrebuilt(copy)
    expect(await install(copy)).toEqual({ code: 0, out: '', err: '' })
    expect(existsSync(join(copy.root, 'build'))).toBe(false)
  })

  it('compiles where there is none, so that a compiler must be there', async () => {
    const { code, err } = await install(installedCopy(['scripts']))
    expect(err).toMatch(noCompiler)
    expect(code).toBe(1)
  })

  it('compiles where the prebuilt one does not load', async () => {
    const copy = installedCopy(['scripts'])
    writeFileSync(givePrebuilt(copy), 'made for another C library')
    const { code, err } = await install(copy)
    expect(err).toMatch(noCompiler)
    expect(code).toBe(1)
  })

  it('wants to compile where nvcc is, and says so when it takes the prebuilt one instead', async () => {
    const copy = installedCopy(['scripts'])
    givePrebuilt(copy)
    const nvcc = join(scratchFolder(), 'nvcc')
    writeFileSync(nvcc, '#!/bin/sh\n')
    chmodSync(nvcc, 0o755)
    const { code, err } = await install(copy, { CUDACXX: nvcc })
    expect(err).toMatch(noCompiler)
    expect(err).toMatch(/headzip: nvcc is here, but the engine is the prebuilt one, without CUDA\n$/)
    expect(code).toBe(0)
  })

  it('HEADZIP_BUILD=source compiles whatever the package carries', async () => {
    const copy = installedCopy(['scripts'])
    givePrebuilt(copy)
    const { code, err } = await install(copy, { HEADZIP_BUILD: 'source' })
    expect(err).toMatch(noCompiler)
    expect(code).toBe(1)
  })

  it('HEADZIP_BUILD=prebuilt gives up what was compiled here, and fails where nothing is carried', async () => {
    const copy = installedCopy(['scripts'])
    const { code, err } = await install(copy, { HEADZIP_BUILD: 'prebuilt' })
    expect(err).toMatch(/^HEADZIP_BUILD is prebuilt, but .*headzip\.glibc\.node is not there\n$/)
    expect(code).toBe(1)
    givePrebuilt(copy)
    const compiled = join(copy.root, 'build/Release/headzip.node')
    mkdirSync(dirname(compiled), { recursive: true })
    cpSync(compiledAddon, compiled)
    expect((await install(copy, { HEADZIP_BUILD: 'prebuilt' })).code).toBe(0)
    expect(existsSync(compiled)).toBe(false)
  })

  it('refuses another word', async () => {
    const { code, err } = await install(installedCopy(['scripts']), { HEADZIP_BUILD: 'binary' })
    expect(err).toBe("HEADZIP_BUILD must be auto, source or prebuilt, got 'binary'\n")
    expect(code).toBe(1)
  })

  it('compiles in a checkout: its sources may be newer than a prebuilt engine', async () => {
    const copy = checkoutCopy(['scripts'])
    givePrebuilt(copy)
    const { code, err } = await install(copy)
    expect(err).toMatch(noCompiler)
    expect(code).toBe(1)
  })
})

describe('what the prebuilt engine may take from glibc', async () => {
  const script = new URL('../../scripts/build-prebuilt.mjs', import.meta.url).href
  const { symbolsOfNewerGlibc } = (await import(script)) as {
    symbolsOfNewerGlibc(listing: string): string[]
  }
  const line = (symbol: string, version: string) =>
    `0000000000000000      DF *UND*\t0000000000000000 (${version}) ${symbol}`

  it('is nothing newer than 2.28', () => {
    const listing = [
      line('memcpy', 'GLIBC_2.14'),
      line('qsort', 'GLIBC_2.2.5'),
      line('fcntl64', 'GLIBC_2.28'),
      line('log', 'GLIBC_2.29'),
      line('pthread_join', 'GLIBC_2.34'),
      '000000000001f280 g    DF .text\t000000000000001c  Base        napi_register_module_v1',
    ].join('\n')
    expect(symbolsOfNewerGlibc(listing)).toEqual(['log (GLIBC_2.29)', 'pthread_join (GLIBC_2.34)'])
  })

  it('cannot be told from a listing without any of it', () => {
    expect(() => symbolsOfNewerGlibc('')).toThrow('objdump -T lists nothing')
  })
})
