/** The prebuilt engine of a package, in the layout that prebuildify made common. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from './stamp.mjs'

/** Where it lies, or would lie; undefined on platforms that none is made for. src/engine/binding.ts looks there, too. */
export function prebuiltPath(platform = process.platform, arch = process.arch) {
  if (platform !== 'linux' || arch !== 'x64') return undefined
  return join(root, 'prebuilds/linux-x64/headzip.glibc.node')
}

/**
 * Loading it is the test, of the C library and of Node-API alike. node-gyp-build would find the file, too, but not say
 * why it does not load.
 * @returns {string} empty when the addon loads
 */
export function whyNotLoaded(path) {
  if (path === undefined) return `there is none for ${process.platform} ${process.arch}`
  if (!existsSync(path)) return `${path} is not there`
  try {
    createRequire(import.meta.url)(path)
    return ''
  } catch (error) {
    return `${path} does not load: ${error.message}`
  }
}
