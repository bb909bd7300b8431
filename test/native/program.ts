/** Test programs in C++: native code that can be tried without the rest of the engine. */

import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

/** The compiler that CMake would find first; undefined where there is none. */
export const compiler = [process.env.CXX, 'c++', 'g++', 'clang++'].find(
  (name) => name && spawnSync(name, ['--version']).status === 0,
)

const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']

/** Not every compiler that builds the engine brings the sanitizers' libraries. */
function hasSanitizers(name: string): boolean {
  const args = [...sanitizers, '-x', 'c++', '-', '-o', join(scratchFolder(), 'empty')]
  return spawnSync(name, args, { input: 'int main() {}' }).status === 0
}

/** @param sources of native/, beside test/native/<name>.cc. @returns the path of the program */
export function buildProgram(name: string, sources: string[]): string {
  const program = join(scratchFolder(), name)
  const at = (...path: string[]): string => join(packageRoot, ...path)
  execFileSync(compiler!, [
    ...['-std=c++20', '-g1', '-Wall', '-Wextra', '-pthread'],
    ...(hasSanitizers(compiler!) ? sanitizers : []),
    ...[
      `-I${at('native')}`,
      at('test/native', `${name}.cc`),
      ...sources.map((source) => at('native', source)),
    ],
    ...['-o', program],
  ])
  return program
}

export function runProgram(program: string): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(program, { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}
