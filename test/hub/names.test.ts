import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkRepo, folderName, parseModelName } from '../../src/hub/repo.js'
import { hubSettings } from '../../src/hub/settings.js'
import { resolveShortName, shortNames } from '../../src/hub/short-names.js'
import { scratchFolder } from '../scratch.js'

describe('a model name', () => {
  it.each([
    ['Qwen/Qwen3-8B', { name: 'Qwen/Qwen3-8B', revision: undefined, file: undefined }],
    ['Qwen/Qwen3-8B@v1.0', { name: 'Qwen/Qwen3-8B', revision: 'v1.0', file: undefined }],
    ['a/b@refs/pr/7:x/y.gguf', { name: 'a/b', revision: 'refs/pr/7', file: 'x/y.gguf' }],
    ['a/b_c.d:Q4_K_M', { name: 'a/b_c.d', revision: undefined, file: 'Q4_K_M' }],
  ])('of the hub: %s', (text, parsed) => {
    expect(parseModelName(text)).toEqual(parsed)
  })

  it.each([
    'llama',
    './a/b',
    '../b',
    '/a/b',
    'a/b/c',
    'a//b',
    'a/..',
    'a/b--c',
    'a/b@',
    'a b/c',
    '',
    'a/.b',
    'a/b.',
  ])('is not %j', (text) => {
    expect(parseModelName(text)).toBeUndefined()
  })

  it.each(['../main', 'a..b', '/main', 'main/', '', 'a b', '-x', 'main.'])(
    'has no revision %j',
    (revision) => {
      expect(() => checkRepo({ type: 'model', name: 'a/b', revision })).toThrow(
        `a revision is a branch, tag or commit, got '${revision}'`,
      )
    },
  )

  it('gives the folder in the cache', () => {
    expect(folderName({ type: 'dataset', name: 'org/some.data', revision: 'main' })).toBe(
      'datasets--org--some.data',
    )
  })
})

describe('short names', () => {
  it.each([
    ['llama3.1-8b', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['llama3.2-3b', 'meta-llama/Llama-3.2-3B-Instruct'],
    ['llama3-8b', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['duo', 'gradientai/Llama-3-8B-Instruct-Gradient-1048k'],
    ['qwen2.5-14b', 'Qwen/Qwen2.5-14B-Instruct-1M'],
    ['qwen3-0.6b', 'Qwen/Qwen3-0.6B'],
    ['qwen3-8b-fp8', 'Qwen/Qwen3-8B-FP8'],
    ['gemma3-12b', 'google/gemma-3-12b-it'],
    ['qwen9-1b', undefined],
  ])('%s stands for %s', (name, repo) => {
    expect(resolveShortName(name)).toBe(repo)
  })

  it('are each listed once, and none looks like a name of the hub', () => {
    expect(new Set(shortNames.map(({ name }) => name)).size).toBe(shortNames.length)
    expect(shortNames.filter(({ name }) => parseModelName(name))).toEqual([])
    expect(shortNames.filter(({ repo }) => !parseModelName(repo))).toEqual([])
  })

  it('refuse the model whose layout headzip does not read', () => {
    expect(() => resolveShortName('llama3-8b-4m-w8a8kv4')).toThrow("QServe's W8A8KV4 layout")
  })
})

describe('settings of the hub', () => {
  const home = join(homedir(), '.cache/huggingface')

  it('are the ones Python has when nothing is set', () => {
    expect(hubSettings({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).toEqual({
      endpoint: 'https://huggingface.co',
      cacheFolder: join(home, 'hub'),
      token: undefined,
      offline: false,
      timeoutSeconds: 30,
      backoffSeconds: 1,
      patienceSeconds: 300,
    })
  })

  it.each<[Record<string, string>, string]>([
    [{ HF_HOME: '/hf' }, '/hf/hub'],
    [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/huggingface/hub'],
    [{ HF_HOME: '/hf', HF_HUB_CACHE: '/cache' }, '/cache'],
    [{ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '~/hf' }, join(homedir(), 'hf/hub')],
    [{ HF_HOME: '' }, join(home, 'hub')],
  ])('put the cache for %j at %s', (env, folder) => {
    expect(hubSettings({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1', ...env }).cacheFolder).toBe(folder)
  })

  it('take the token from the environment, else from the file of a login', () => {
    const folder = scratchFolder()
    expect(hubSettings({ HF_HOME: folder }).token).toBeUndefined()
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'token'), 'hf_file\n')
    expect(hubSettings({ HF_HOME: folder }).token).toBe('hf_file')
    expect(hubSettings({ HF_HOME: folder, HF_TOKEN: ' hf_env ' }).token).toBe('hf_env')
    expect(hubSettings({ HF_HOME: '/x', HF_TOKEN_PATH: join(folder, 'token') }).token).toBe('hf_file')
    expect(hubSettings({ HF_HOME: folder, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }).token).toBeUndefined()
    expect(() => hubSettings({ HF_TOKEN: 'two\nlines' })).toThrow('holds characters that no token has')
  })

  it.each([
    ['1', true],
    ['true', true],
    ['Yes', true],
    ['0', false],
    ['', false],
  ])('are offline for HF_HUB_OFFLINE=%s: %s', (value, offline) => {
    expect(hubSettings({ HF_HOME: '/x', HF_HUB_OFFLINE: value }).offline).toBe(offline)
  })

  it('refuse an endpoint that is no address', () => {
    expect(hubSettings({ HF_HOME: '/x', HF_ENDPOINT: 'https://mirror.example/hf/' }).endpoint).toBe(
      'https://mirror.example/hf',
    )
    expect(() => hubSettings({ HF_ENDPOINT: 'mirror' })).toThrow(
      "HF_ENDPOINT must be an http or https address, got 'mirror'",
    )
  })
})
