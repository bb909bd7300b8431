/**
 * Builds the engine and its test programs under sanitizers and runs them: `npm run sanitize`, or one of
 * `npm run sanitize -- memory` (AddressSanitizer, LeakSanitizer, UndefinedBehaviorSanitizer) and
 * `npm run sanitize -- thread` (ThreadSanitizer). docs/sanitizers.md says what it covers. Each has a build folder of its own.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { argv, env, stderr } from 'node:process'
import { root } from './stamp.mjs'
import { checkBuildTools, SetupError } from './tools.mjs'

const units = ['engine_tests', 'sampler_test', 'bus_guard_test', 'engine_drive']
const kinds = {
  memory: {
    sanitize: 'address;undefined',
    runs: [
      ...units.map((name) => [name]),
      ['backend_parity'],
      ['backend_parity', 'avx2'],
      ['backend_parity', 'baseline'],
    ],
    env: {
      ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  },
  thread: {
    sanitize: 'thread',
    runs: [...units.map((name) => [name]), ['backend_parity']],
    env: { TSAN_OPTIONS: `second_deadlock_stack=1:suppressions=${join(root, 'test/native/thread.supp')}` },
  },
}

function run(what, command, args, options = {}) {
  stderr.write(`${what} ... `)
  const start = performance.now()
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  if (result.status === 0) return void stderr.write(`${seconds} s\n`)
  stderr.write('failed\n')
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd().split('\n').slice(-80)
  throw new SetupError(
    `${said.join('\n')}\n${what} failed (${result.error?.message ?? result.signal ?? `exit code ${result.status}`})`,
  )
}

function sanitize(kind) {
  const { sanitize, runs, env: options } = kinds[kind]
  const folder = join('build/sanitize', kind)
  const configure = ['-S', '.', '-B', folder, '-DHEADZIP_CUDA=OFF', `-DHEADZIP_SANITIZE=${sanitize}`]
  run(`${kind}: configuring`, 'cmake', configure)
  run(`${kind}: compiling`, 'cmake', [
    '--build',
    folder,
    '--parallel',
    `${availableParallelism()}`,
    '--target',
    'test_programs',
  ])
  for (const [name, instructions] of runs)
    run(
      `${kind}: ${name}${instructions ? ` with ${instructions}` : ''}`,
      join(root, folder, 'test', name),
      [],
      {
        env: { ...env, ...options, ...(instructions ? { HEADZIP_CPU: instructions } : {}) },
      },
    )
}

try {
  checkBuildTools()
  const asked = argv.slice(2)
  const unknown = asked.find((kind) => !Object.hasOwn(kinds, kind))
  if (unknown !== undefined)
    throw new SetupError(`there is no sanitizer run ${unknown}: it is memory or thread`)
  for (const kind of asked.length > 0 ? asked : Object.keys(kinds)) sanitize(kind)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
