/** Where the native addon may lie, and how whoever has none gets one. */

import { existsSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export const packageRoot = fileURLToPath(new URL('../../', import.meta.url))

/**
 * In the order that they are tried.
 * @param chosen HEADZIP_ADDON
 * @returns what was compiled on this machine before what the npm package carries, which has no CUDA
 */
export function addonPaths(root: string, chosen: string | undefined): string[] {
  const paths = [join(root, 'build/Release/headzip.node')]
  // scripts/prebuilt.mjs looks there, too.
  const prebuilt = join(root, 'prebuilds', `${process.platform}-${process.arch}`, 'headzip.glibc.node')
  if (existsSync(prebuilt)) paths.push(prebuilt)
  return chosen === undefined || chosen === '' ? paths : [chosen, ...paths]
}

/**
 * The command that builds the addon, and the folder to run it in where that is another one: a checkout has a script for
 * it, an installed package is rebuilt by npm from the folder that depends on it.
 */
export function buildCommand(root: string, from: string = process.cwd()): string {
  const folder = root.endsWith(sep) ? root.slice(0, -1) : root
  const modules = folder.indexOf(`${sep}node_modules${sep}`)
  const isCheckout = modules === -1 || existsSync(join(folder, 'src'))
  const where = isCheckout ? folder : folder.slice(0, modules)
  const command = isCheckout ? 'npm run setup' : 'npm rebuild headzip'
  return from === where ? command : `${command} (in ${where})`
}
