import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { InputError } from '../errors.js'

/**
 * Files as given; for a folder the .arrow files in it. @param except a file about to be written, which does not count
 * @throws InputError for a folder that holds nothing but that one
 */
export async function scoreFiles(paths: readonly string[], except?: string): Promise<string[]> {
  const files: string[] = []
  for (const path of paths) {
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) {
      files.push(path)
      continue
    }
    const names = (await readdir(path)).filter((name) => name.endsWith('.arrow')).sort()
    const inside = names
      .map((name) => join(path, name))
      .filter((file) => !except || resolve(file) !== resolve(except))
    if (inside.length === 0 && names.length > 0) {
      throw new InputError(`${path} holds no .arrow file but ${except} itself`)
    }
    // Without any it may be DuoAttention's format, which is a folder.
    files.push(...(inside.length > 0 ? inside : [path]))
  }
  return files
}
