/** Compiles the native engine to build/Release/headzip.node. `npm install` runs it; set-up calls it when it is stale. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { argv, env, execPath, stderr } from 'node:process'
import { pathToFileURL } from 'node:url'
import { hashOf, isStamped, root, writeStamp } from './stamp.mjs'
import { checkBuildTools, checkNode, SetupError } from './tools.mjs'

const addon = 'build/Release/headzip.node'
const stamp = 'build/.headzip-native'
const log = join(root, 'build/native-build.log')

function nativeHash() {
  const facts = [process.version, process.platform, process.arch, env.CXX ?? '', env.CUDAARCHS ?? '']
  return hashOf(['native', 'cuda', 'CMakeLists.txt'], facts)
}

export function nativeIsFresh() {
  return existsSync(join(root, addon)) && isStamped(stamp, nativeHash())
}

/** @throws SetupError when a tool is missing or the compilation fails; its output is in build/native-build.log */
export function buildNative() {
  checkNode()
  checkBuildTools()
  const hash = nativeHash()
  // cmake-js lies in the depending project's node_modules when headzip is a dependency
  const cmakeJs = join(
    dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')),
    'bin/cmake-js',
  )
  const result = spawnSync(execPath, [cmakeJs, 'compile', '--config', 'Release'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = `${result.stdout}${result.stderr}`
  mkdirSync(dirname(log), { recursive: true })
  writeFileSync(log, output)
  if (result.status !== 0 || !existsSync(join(root, addon))) {
    stderr.write(`${output.trimEnd().split('\n').slice(-40).join('\n')}\n`)
    throw new SetupError(`The native engine did not compile; the whole output is in ${log}`)
  }
  writeStamp(stamp, hash)
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  try {
    if (!nativeIsFresh()) buildNative()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
