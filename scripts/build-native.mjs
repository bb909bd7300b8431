/** Compiles the native engine to build/Release/headzip.node. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { env, execPath, stderr } from 'node:process'
import { hashOf, isStamped, root, writeStamp } from './stamp.mjs'
import { checkBuildTools, checkNode, findNvcc, SetupError } from './tools.mjs'

export const compiledAddon = join(root, 'build/Release/headzip.node')
const stamp = 'build/.headzip-native'
const log = join(root, 'build/native-build.log')

export function nativeHash() {
  const facts = [
    process.version,
    process.platform,
    process.arch,
    env.CXX ?? '',
    env.CUDAARCHS ?? '',
    findNvcc() ?? '',
  ]
  return hashOf(['native', 'cuda', 'CMakeLists.txt'], facts)
}

export function nativeIsFresh() {
  return existsSync(compiledAddon) && isStamped(stamp, nativeHash())
}

/** @throws SetupError when a tool is missing or the compilation fails; its output is in build/native-build.log */
export function buildNative() {
  const hash = nativeHash()
  compile(compiledAddon)
  writeStamp(stamp, hash)
}

/** Forgets what was compiled here, and what CMake found here: compilers come and go. */
export function removeNative() {
  rmSync(join(root, 'build'), { recursive: true, force: true })
}

/**
 * @param {string} made the file that must be there afterwards
 * @param {string[]} target of CMake, as `['--target', name]`; all of them when left out
 * @throws SetupError
 */
export function compile(made, target = []) {
  checkNode()
  checkBuildTools()
  // cmake-js lies in the depending project's node_modules when headzip is a dependency
  const cmakeJs = join(
    dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')),
    'bin/cmake-js',
  )
  const result = spawnSync(execPath, [cmakeJs, 'compile', '--config', 'Release', ...target], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = `${result.stdout}${result.stderr}`
  mkdirSync(dirname(log), { recursive: true })
  writeFileSync(log, output)
  if (result.status === 0 && existsSync(made)) return
  stderr.write(`${output.trimEnd().split('\n').slice(-40).join('\n')}\n`)
  throw new SetupError(`The native engine did not compile; the whole output is in ${log}`)
}
