/**
 * npm's install script. HEADZIP_BUILD says what it does: `prebuilt` takes the engine that the package carries, `source`
 * compiles one, `auto` (the default) compiles where nvcc and a compiler are and takes the prebuilt one elsewhere, if it
 * loads. A checkout has sources of its own and compiles them.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { env, stderr } from 'node:process'
import { buildNative, compiledAddon, nativeIsFresh, removeNative } from './build-native.mjs'
import { prebuiltPath, whyNotLoaded } from './prebuilt.mjs'
import { root } from './stamp.mjs'
import { checkBuildTools, checkNode, findNvcc, SetupError } from './tools.mjs'

const isCheckout = existsSync(join(root, 'src'))

function install() {
  checkNode()
  const choice = env.HEADZIP_BUILD || 'auto'
  if (!['auto', 'source', 'prebuilt'].includes(choice)) {
    throw new SetupError(`HEADZIP_BUILD must be auto, source or prebuilt, got '${choice}'`)
  }
  if (choice === 'source' || (choice === 'auto' && isCheckout)) return compileHere()
  const unfit = whyNotLoaded(prebuiltPath())
  if (choice === 'prebuilt') {
    if (unfit !== '') throw new SetupError(`HEADZIP_BUILD is prebuilt, but ${unfit}`)
    return removeNative()
  }
  if (unfit !== '') return compileHere()
  if (findNvcc() === undefined) return
  try {
    compileHere()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    stderr.write(
      `${error.message}\nheadzip: nvcc is here, but the engine is the prebuilt one, without CUDA\n`,
    )
  }
}

function compileHere() {
  const isFresh = nativeIsFresh()
  if (isFresh && whyNotLoaded(compiledAddon) === '') return
  checkBuildTools()
  // In a checkout only what has changed is compiled again.
  if (isFresh || !isCheckout) removeNative()
  buildNative()
}

try {
  install()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
