import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'

/** One temporary folder for all that a run of the tests writes, gone when it ends. Vitest calls it before any test. */
export default function temporaryFolder(): () => void {
  const before = env.TMPDIR
  const folder = mkdtempSync(join(tmpdir(), 'headzip-tests-'))
  env.TMPDIR = folder
  return () => {
    if (before === undefined) delete env.TMPDIR
    else env.TMPDIR = before
    rmSync(folder, { recursive: true, force: true })
  }
}
