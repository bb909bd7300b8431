/** The engine's own C++ programs, made of the objects that the addon was compiled of. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'

const build = join(packageRoot, 'build')
const programs = ['engine_tests', 'backend_parity']
// An addon that HEADZIP_ADDON names was compiled elsewhere.
const compiledHere = existsSync(join(build, 'CMakeCache.txt'))

function run(name: string, args: string[] = [], cpu?: string) {
  const env = cpu === undefined ? process.env : { ...process.env, HEADZIP_CPU: cpu }
  const { status, stdout, stderr } = spawnSync(join(build, 'test', name), args, { encoding: 'utf8', env })
  return { code: status, out: stdout, err: stderr }
}

describe.skipIf(!compiledHere)('the engine in C++', () => {
  beforeAll(() => {
    const jobs = String(availableParallelism())
    const made = spawnSync('cmake', ['--build', build, '--parallel', jobs, '--target', ...programs], {
      encoding: 'utf8',
    })
    if (made.status !== 0)
      throw new Error(`${programs.join(' and ')} did not compile:\n${made.stdout}${made.stderr}`)
  }, 900_000)

  it('keeps positions, evicts, routes and dequantises as plain code does', () => {
    expect(run('engine_tests')).toEqual({
      code: 0,
      out: expect.stringMatching(/^[1-9]\d* checked, 0 failed\n$/),
      err: '',
    })
  })

  it.each(['baseline', 'avx2', 'avx512'])(
    'computes every operation as plain loops in double precision do: %s',
    { timeout: 300_000 },
    (cpu) => {
      const { code, out, err } = run('backend_parity', ['cpu'], cpu)
      if (code === 2 && err.includes('instruction sets'))
        return void console.info(`skipped: this CPU does not run ${cpu}`)
      expect({ code, err }, out).toEqual({ code: 0, err: '' })
      const groups = out.trimEnd().split('\n')
      expect(groups.length).toBeGreaterThan(40)
      for (const group of groups) expect(group).toMatch(/ [1-9]\d* cases .* ok$/)
    },
  )

  it('says what it can be run on', () => {
    expect(run('backend_parity', ['tpu'])).toEqual({
      code: 2,
      out: '',
      err: 'usage: backend_parity [cpu|cuda]\n',
    })
  })
})
