import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { withShape } from '../../src/bench/shape.js'
import { loadAddon } from '../../src/engine/binding.js'
import { inContainer, type Owner, ownerTag, parseOwner, thisProcess } from '../../src/files/owner.js'
import { sweepTemporaries } from '../../src/files/temporary.js'
import { writeFileAtomic } from '../../src/files/write.js'
import { RepoCache } from '../../src/hub/cache.js'
import { packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

function start(args: string[]): ChildProcess {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => child.stdout!.once('data', (text: Buffer) => resolve(text.toString().trim())))

function kill(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve())
    child.kill('SIGKILL')
  })
}

/** A process that writes `path`, and never comes to its end; until its temporary file is there. */
async function writing(path: string): Promise<ChildProcess> {
  const child = start([
    '--input-type=module',
    '-e',
    `const { writeFileAtomic } = await import('${packageRoot}/dist/files/write.js')
     async function* content() {
       yield new Uint8Array(1e6)
       setTimeout(() => console.log('there'), 1)
       await new Promise(() => setInterval(() => {}, 1000))
     }
     await writeFileAtomic('${path}', content())`,
  ])
  expect(await firstLine(child)).toBe('there')
  return child
}

/** A file or folder in `folder`, named as one of `owner`'s. */
function leave(folder: string, owner: Partial<Owner>, ending = '.tmp'): string {
  const name = `.old.arrow.${ownerTag({ ...thisProcess(), ...owner })}.0123abcd${ending}`
  writeFileSync(join(folder, name), 'half')
  return name
}

/** Above what any system gives. */
const nobody = 2 ** 22 + 1

describe('what a killed process left', () => {
  test('goes with the next write into the folder, and what a living one writes stays', async () => {
    const folder = scratchFolder()
    const killed = await writing(join(folder, 'killed.bin'))
    const living = await writing(join(folder, 'living.bin'))
    await kill(killed)
    expect(readdirSync(folder)).toHaveLength(2)
    await writeFileAtomic(join(folder, 'whole.txt'), 'whole')
    const left = readdirSync(folder)
    expect(left).toHaveLength(2)
    expect(left[0]).toMatch(/^\.living\.bin\..*\.tmp$/)
    expect(left[1]).toBe('whole.txt')
    expect(parseOwner(left[0]!.split('.')[3]!)?.pid).toBe(living.pid)
    await kill(living)
    await sweepTemporaries(folder)
    expect(readdirSync(folder)).toEqual(['whole.txt'])
  })

  test('is told from a process that got its pid later, and from one that lives', async () => {
    const folder = scratchFolder()
    leave(folder, { pid: nobody })
    leave(folder, { start: String(Number(thisProcess().start) - 1) })
    const own = leave(folder, {})
    await sweepTemporaries(folder)
    expect(readdirSync(folder)).toEqual([own])
  })

  test.runIf(process.platform === 'linux')('goes though nobody has asked how the process ended', async () => {
    const folder = scratchFolder()
    // The shell becomes a sleep that waits for no child: what ends under it stays a zombie.
    const script = 'sleep 0.01 & echo $! $(cut -d " " -f 22 /proc/$!/stat); exec sleep 60'
    const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const [pid, since] = (await firstLine(child)).split(' ')
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')))
      await new Promise((done) => setTimeout(done, 5))
    leave(folder, { pid: Number(pid), start: since! })
    await sweepTemporaries(folder)
    expect(readdirSync(folder)).toEqual([])
  })

  test('stays where the owner is of another host, or in no name of ours', async () => {
    const folder = scratchFolder()
    const other = { pid: nobody, host: 'node17-0123abcd' }
    leave(folder, other)
    leave(folder, { ...other, boot: '0123abcd' })
    for (const name of ['.old.arrow.tmp', `.x.${nobody}.tmp`, 'notes.tmp', '.x.a-b-1-2-3.0123abcd.tmp'])
      writeFileSync(join(folder, name), '')
    await sweepTemporaries(folder)
    expect(readdirSync(folder)).toHaveLength(6)
  })

  test('goes after the machine was started anew, unless containers may share the name', async () => {
    const folder = scratchFolder()
    leave(folder, { boot: '0123abcd' })
    const contained = leave(folder, { boot: '0123abcd', pidNamespace: '4026532999' })
    await sweepTemporaries(folder)
    expect(readdirSync(folder).filter((name) => name !== contained)).toHaveLength(inContainer() ? 1 : 0)
    expect(readdirSync(folder)).toContain(contained)
  })

  test('in another container of this machine goes by its lock, never while that is held', async () => {
    const folder = scratchFolder()
    const container = { pidNamespace: '4026532999' }
    const ended = leave(folder, container, '.locked.tmp')
    const held = leave(folder, { ...container, pid: 7 }, '.locked.tmp')
    const unlocked = leave(folder, container)
    for (const name of [ended, held, unlocked]) utimesSync(join(folder, name), 1e9, 1e9)
    const fresh = leave(folder, { ...container, pid: 8 }, '.locked.tmp')
    expect(loadAddon().tryLock(openSync(join(folder, held), 'r'))).toBe(true)
    await sweepTemporaries(folder)
    expect(readdirSync(folder).sort()).toEqual([held, unlocked, fresh].sort())
  })

  test('goes from the cache of the hub, too, and from where models of a shape are made', async () => {
    const hub = scratchFolder()
    const cache = new RepoCache(hub, { type: 'model', name: 'a/b', revision: 'main' })
    const refs = join(cache.folder, 'refs')
    mkdirSync(refs, { recursive: true })
    leave(refs, { pid: nobody })
    await cache.remember('0'.repeat(40))
    expect(readdirSync(refs)).toEqual(['main'])

    const before = process.env.TMPDIR
    process.env.TMPDIR = scratchFolder()
    try {
      const name = `.headzip-shape.${ownerTag({ ...thisProcess(), pid: nobody })}.0123abcd.tmp`
      mkdirSync(join(process.env.TMPDIR, name, 'qwen2.5-7b'), { recursive: true })
      const tiny = { tokens: [1], layers: 1, device: 'cpu' as const }
      await withShape({ shape: 'qwen2.5-7b', ...tiny }, async () => {}).catch(() => {})
      expect(readdirSync(process.env.TMPDIR)).toEqual([])
    } finally {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
  })
})

test('names of 255 bytes leave room for the owner', async () => {
  const folder = scratchFolder()
  const name = '五'.repeat(85)
  await writeFileAtomic(join(folder, name), 'whole')
  expect(readdirSync(folder)).toEqual([name])
})
