/** This package as it lies in a user's folder, and as a checkout, both without a compiled engine. */

import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

export const compiledAddon = join(packageRoot, 'build/Release/headzip.node')

type Part = 'dist' | 'scripts'

export interface Copy {
  /** The folder of whoever uses headzip, or the checkout. */
  folder: string
  /** Where headzip lies. */
  root: string
  main: string
}

/** @param parts the compiled command (`dist`) is many files: only for those who run it */
export function installedCopy(parts: Part[]): Copy {
  const folder = join(scratchFolder(), 'app')
  return copyTo(folder, join(folder, 'node_modules/headzip'), parts)
}

export function checkoutCopy(parts: Part[]): Copy {
  const root = join(scratchFolder(), 'headzip')
  const copy = copyTo(root, root, parts)
  mkdirSync(join(root, 'src'))
  return copy
}

/** Puts the engine that was compiled here where the package carries one. */
export function givePrebuilt({ root }: Copy): string {
  const path = join(root, 'prebuilds/linux-x64/headzip.glibc.node')
  mkdirSync(dirname(path), { recursive: true })
  cpSync(compiledAddon, path)
  return path
}

function copyTo(folder: string, root: string, parts: Part[]): Copy {
  for (const part of [...parts, 'package.json'])
    cpSync(join(packageRoot, part), join(root, part), { recursive: true })
  for (const part of ['models', 'head_scores']) symlinkSync(join(packageRoot, part), join(root, part))
  // What it depends on is found one folder up from the user's.
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, '..', 'node_modules'))
  return { folder, root, main: join(root, 'dist/cli/main.js') }
}
