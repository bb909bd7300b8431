/**
 * Builds the engine that the npm package carries, prebuilds/linux-x64/headzip.glibc.node: CPU only, with a C++ runtime of
 * its own, and with nothing of a glibc newer than 2.28.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile, nativeHash } from './build-native.mjs'
import { prebuiltPath, whyNotLoaded } from './prebuilt.mjs'
import { isStamped, root, writeStamp } from './stamp.mjs'
import { SetupError } from './tools.mjs'

/** What Node 20's own binaries ask for. */
const newestGlibc = [2, 28]
const stamp = 'prebuilds/.headzip-prebuilt'
const made = join(root, 'build/prebuilt/headzip.node')

export function prebuiltIsFresh() {
  const path = prebuiltPath()
  return path !== undefined && existsSync(path) && isStamped(stamp, nativeHash())
}

/** @throws SetupError on another platform, when a tool is missing, and when the addon would need a newer glibc */
export function prebuild() {
  const path = prebuiltPath()
  if (path === undefined) {
    throw new SetupError(
      `Prebuilt engines are made on linux x64, this is ${process.platform} ${process.arch}`,
    )
  }
  const hash = nativeHash()
  compile(made, ['--target', 'headzip_prebuilt'])
  const newer = symbolsOfNewerGlibc(dynamicSymbols(made))
  if (newer.length > 0) {
    throw new SetupError(
      `The prebuilt engine would need a glibc newer than ${newestGlibc.join('.')} for ${newer.join(', ')}: add them to native/prebuilt/old_glibc.cc`,
    )
  }
  mkdirSync(dirname(path), { recursive: true })
  copyFileSync(made, `${path}.part`)
  chmodSync(`${path}.part`, 0o755)
  renameSync(`${path}.part`, path)
  const why = whyNotLoaded(path)
  if (why !== '') throw new SetupError(`The prebuilt engine is of no use: ${why}`)
  writeStamp(stamp, hash)
}

function dynamicSymbols(path) {
  const { status, stdout, error } = spawnSync('objdump', ['-T', path], { encoding: 'utf8' })
  if (status !== 0) throw new SetupError(`objdump -T ${path} failed${error ? `: ${error.message}` : ''}`)
  return stdout
}

/**
 * @param {string} listing of `objdump -T`
 * @returns {string[]} `pthread_join (GLIBC_2.34)`
 */
export function symbolsOfNewerGlibc(listing) {
  const needs = [...listing.matchAll(/\*UND\*.*\(GLIBC_(\d+)\.(\d+)[\d.]*\)\s+(\S+)/g)]
  if (needs.length === 0)
    throw new SetupError('objdump -T lists nothing that the prebuilt engine takes from glibc')
  return needs
    .filter(([, major, minor]) => Number(major) === newestGlibc[0] && Number(minor) > newestGlibc[1])
    .map(([, major, minor, name]) => `${name} (GLIBC_${major}.${minor})`)
}
