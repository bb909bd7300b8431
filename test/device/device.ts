/** The device that test/device runs on, and why it is skipped where there is none. */

import { loadAddon } from '../../src/engine/binding.js'

/** `cpu` checks the tests themselves where there is no GPU. */
export const device = process.env.HEADZIP_TEST_DEVICE === 'cpu' ? 'cpu' : 'cuda'

/** Why the tests of this folder cannot run here; empty where they can. */
export function missing(): string {
  if (device === 'cpu') return ''
  return loadAddon().devices().cuda.reason
}

/** GPU_REQUIRED=1: a run that was meant for a GPU must not pass by skipping. */
export function skipWithoutDevice(): boolean {
  const reason = missing()
  if (reason === '') return false
  if (process.env.GPU_REQUIRED === '1') throw new Error(`a GPU is required, but: ${reason}`)
  console.info(`skipped: ${reason}`)
  return true
}
