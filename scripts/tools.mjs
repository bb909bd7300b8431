/** What a build needs from the machine, and how to get it where it is missing. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const oldestNode = [20, 19]

/** A fault of the machine or of the sources, told in one sentence; scripts print it without a stack. */
export class SetupError extends Error {}

/** @throws SetupError when this Node is older than package.json's `engines` */
export function checkNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [needMajor, needMinor] = oldestNode
  if (major < needMajor || (major === needMajor && minor < needMinor)) {
    throw new SetupError(
      `headzip needs Node ${oldestNode.join('.')} or newer, this is ${version}: see https://nodejs.org`,
    )
  }
}

/** @throws SetupError naming each missing tool and the command that installs it */
export function checkBuildTools(env = process.env, platform = process.platform) {
  const compilers = [env.CXX?.trim().split(/\s+/)[0], 'g++', 'c++', 'clang++'].filter(Boolean)
  const needs = [
    { what: 'cmake', anyOf: ['cmake'], apt: 'cmake', brew: 'brew install cmake' },
    {
      what: 'a C++20 compiler (g++ or clang++)',
      anyOf: compilers,
      apt: 'g++',
      brew: 'xcode-select --install',
    },
    { what: 'make (or ninja)', anyOf: ['make', 'ninja'], apt: 'make', brew: 'xcode-select --install' },
  ]
  const missing = needs.filter(({ anyOf }) => !anyOf.some((tool) => isOnPath(tool, env)))
  if (missing.length === 0) return
  const commands =
    platform === 'darwin'
      ? [...new Set(missing.map(({ brew }) => brew))]
      : [`sudo apt-get install -y ${missing.map(({ apt }) => apt).join(' ')}`]
  const names = missing.map(({ what }) => what).join(' and ')
  throw new SetupError(
    `The native engine cannot be built without ${names}; install with: ${commands.join(' && ')}`,
  )
}

/** The CUDA compiler, looked for where CMakeLists.txt does; undefined where there is none. */
export function findNvcc(env = process.env) {
  const named = env.CUDACXX?.trim().split(/\s+/)[0]
  const tools = named
    ? [named]
    : [env.CUDA_PATH && join(env.CUDA_PATH, 'bin/nvcc'), 'nvcc', '/usr/local/cuda/bin/nvcc']
  return tools.filter(Boolean).find((tool) => isOnPath(tool, env))
}

export function isOnPath(tool, env = process.env) {
  const folders = tool.includes('/') ? [''] : (env.PATH ?? '').split(delimiter)
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
