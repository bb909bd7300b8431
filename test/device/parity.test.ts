/** Every operation of the device's backend against plain loops in double precision. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'
import { device, skipWithoutDevice } from './device.js'

/** cmake --build build --target backend_parity makes it; bench/gpu/run.sh names the one that it carries. */
const program = process.env.HEADZIP_PARITY ?? join(packageRoot, 'build/test/backend_parity')

describe.skipIf(skipWithoutDevice())(`operations on ${device}`, () => {
  it.skipIf(!existsSync(program) && process.env.GPU_REQUIRED !== '1')(
    'are those of plain loops, within what bf16 and fp32 round',
    { timeout: 300_000 },
    () => {
      const { status, stdout, stderr, error } = spawnSync(program, [device], { encoding: 'utf8' })
      expect({ status, stderr, error }, stdout).toEqual({ status: 0, stderr: '', error: undefined })
      expect(stdout.trimEnd().split('\n').length).toBeGreaterThan(35)
    },
  )
})
