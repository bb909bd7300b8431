import { spawn } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ownerTag, thisProcess } from '../../src/files/owner.js'
import { headzip, packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

const scratch = scratchFolder()
const args = (out: string): string[] =>
  ['eval', 'nano', '-d', 'needle', '--needle-lengths', '150,200', '--needle-depths', '0,50,100'].concat([
    '--level',
    'head,pair,random',
    '--draws',
    '1',
    '--ratios',
    '0.3,0.6,1',
    '-o',
    join(scratch, out),
  ])

function files(out: string): string[] {
  const folder = join(scratch, out, 'nano/needle')
  return existsSync(folder) ? readdirSync(folder).sort() : []
}

/** Runs until so many samples are there, and kills without warning. */
function killedAt(out: string, count: number): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [join(packageRoot, 'dist/cli/main.js'), ...args(out)], {
    stdio: 'ignore',
  })
  const timer = setInterval(() => {
    if (files(out).filter((name) => name.endsWith('.arrow')).length >= count) child.kill('SIGKILL')
  }, 5)
  return new Promise((resolve) => {
    child.on('close', (_, signal) => {
      clearInterval(timer)
      resolve(signal)
    })
  })
}

async function table(out: string): Promise<string> {
  const { code, out: text } = await headzip(['results', join(scratch, out), '--format', 'csv'])
  expect(code).toBe(0)
  return text
}

describe('an evaluation that is killed', () => {
  it('goes on to the same table, with no sample lost and none twice', async () => {
    const whole = await headzip(args('whole'))
    expect(whole).toMatchObject({ code: 0 })
    expect(await killedAt('killed', 1)).toBe('SIGKILL')
    expect(await killedAt('killed', 3)).toBe('SIGKILL')
    const left = files('killed').filter((name) => name.endsWith('.arrow'))
    expect(left.length).toBeGreaterThanOrEqual(3)
    expect(left.length).toBeLessThan(6)
    // What a kill leaves now and then; its owner has a pid above any that is given.
    const owner = ownerTag({ ...thisProcess(), pid: 2 ** 22 + 1 })
    const leftover = join(scratch, 'killed/nano/needle', `.00000.arrow.${owner}.0123abcd.tmp`)
    writeFileSync(leftover, 'half')
    const rest = await headzip([...args('killed'), '--json'])
    expect(JSON.parse(rest.out)).toMatchObject({ answered: 6 - left.length, present: left.length })
    expect(await table('killed')).toBe(await table('whole'))
    expect(files('killed')).toHaveLength(6)
    // It goes in a run that has nothing left to write, too.
    writeFileSync(leftover, 'half')
    await headzip([...args('killed'), '--json'])
    expect(files('killed')).toHaveLength(6)
  })

  it('is the same when several processes share it', async () => {
    const shared = await headzip([...args('jobs'), '--jobs', '2', '--json'])
    expect(JSON.parse(shared.out)).toMatchObject({ answered: 0, present: 6 })
    expect(await table('jobs')).toBe(await table('whole'))
  })
})
