import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { InputError } from '../errors.js'
import { mergedName, scoreFilesIn } from '../formats/detect.js'

export interface FolderOptions {
  /** A file about to be written, which does not count. */
  except?: string
  /** Leave out the merged.arrow of a folder: it holds what the files beside it hold. */
  unmerged?: boolean
}

/**
 * Files as given; for a folder the score files in it.
 * @throws InputError for a folder that holds nothing but the file to be written
 */
export async function scoreFiles(paths: readonly string[], options: FolderOptions = {}): Promise<string[]> {
  const files: string[] = []
  for (const path of paths) {
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) files.push(path)
    else files.push(...(await filesOf(path, options)))
  }
  return files
}

async function filesOf(folder: string, { except, unmerged = false }: FolderOptions): Promise<string[]> {
  const all = await scoreFilesIn(folder)
  const others = all.filter((file) => except === undefined || resolve(file) !== resolve(except))
  if (others.length === 0 && all.length > 0)
    throw new InputError(`${folder} holds no score file but ${except} itself`)
  const single = unmerged ? others.filter((file) => basename(file) !== mergedName) : others
  if (single.length > 0) return single
  // Without any it may be a format that is a folder, as DuoAttention's is.
  return others.length > 0 ? others : [folder]
}
