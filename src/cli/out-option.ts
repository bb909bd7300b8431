/** What `--out` may name: a path, or `-` for standard output where a command writes one file. */

import { InputError } from '../errors.js'
import type { WriteOptions } from '../files/write.js'
import { giveToContent, writeContent } from './stdout.js'

/** Of a command that writes one file. */
export function fileOut(out: string, { force, json }: { force: boolean; json: boolean }): WriteOptions {
  if (out !== '-') return { force }
  giveToContent(json)
  return { into: writeContent }
}

/** @throws InputError for `-`, where a command writes several files */
export function checkFolderOut(out: string | undefined): void {
  if (out === '-')
    throw new InputError(
      '-o - is standard output, which holds one file: name a folder for what is written here',
    )
}
