import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new empty folder in the system's temporary one. */
export function scratchFolder(): string {
  return mkdtempSync(join(tmpdir(), 'headzip-test-'))
}
