import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type TinyShape, tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'

/** A tiny model that reads and writes text, with nano's tokenizer: its answers mean nothing, and come fast. */
export function writeTinyChat(
  shape: Partial<TinyShape> = {},
  edit?: (name: string, values: Float32Array) => void,
): string {
  const folder = scratchFolder()
  writeTinyModel(folder, { ...tinyShape, kvHeads: 3, vocab: 4096, ...shape }, edit)
  const nano = fileURLToPath(new URL('../../models/nano', import.meta.url))
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(nano, file), join(folder, file))
  return folder
}

/** Order that a seed decides. */
export function shuffled<T>(list: readonly T[], seed: number): T[] {
  const out = [...list]
  let state = seed
  for (let i = out.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const j = Math.floor((state / 2 ** 32) * (i + 1))
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}
