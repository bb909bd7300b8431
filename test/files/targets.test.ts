import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/errors.js'
import { checkWritable, writeFileAtomic, writeFilesAtomic } from '../../src/files/write.js'
import { scratchFolder } from '../scratch.js'

const force = { force: true }

describe('an output path that is a symbolic link', () => {
  test('stays one, and the file that it leads to is replaced at once', async () => {
    const folder = scratchFolder()
    const [link, second, target] = ['link', 'second', 'real/target'].map((name) => join(folder, name))
    mkdirSync(join(folder, 'real'))
    writeFileSync(target!, 'old')
    symlinkSync('real/target', second!)
    symlinkSync(second!, link!)
    const before = statSync(target!).ino
    await expect(writeFileAtomic(link!, 'new')).rejects.toThrow(`${link} exists; pass --force to replace it`)
    await writeFileAtomic(link!, 'new', force)
    expect([readlinkSync(link!), readlinkSync(second!)]).toEqual([second, 'real/target'])
    expect(readFileSync(target!, 'utf8')).toBe('new')
    expect(statSync(target!).ino).not.toBe(before)
    expect(readdirSync(join(folder, 'real'))).toEqual(['target'])
    expect(readdirSync(folder)).toEqual(['link', 'real', 'second'])
  })

  test('to a file that is not there yet makes that one, without force', async () => {
    const folder = scratchFolder()
    symlinkSync('later', join(folder, 'link'))
    await checkWritable(join(folder, 'link'))
    await writeFileAtomic(join(folder, 'link'), 'new')
    expect(readFileSync(join(folder, 'later'), 'utf8')).toBe('new')
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true)
  })

  test('counts its steps upwards from where its folder really lies', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'deep/er'), { recursive: true })
    symlinkSync('deep/er', join(folder, 'short'))
    symlinkSync('../target', join(folder, 'deep/er/link'))
    await writeFileAtomic(join(folder, 'short/link'), 'new')
    expect(readFileSync(join(folder, 'deep/target'), 'utf8')).toBe('new')
  })

  test('to a folder, or in a circle, is refused', async () => {
    const folder = scratchFolder()
    symlinkSync('.', join(folder, 'here'))
    symlinkSync('b', join(folder, 'a'))
    symlinkSync('a', join(folder, 'b'))
    await expect(checkWritable(join(folder, 'here'), force)).rejects.toThrow(/here is a folder; name a file/)
    await expect(checkWritable(join(folder, 'a'), force)).rejects.toThrow(
      new InputError(`${join(folder, 'a')} cannot be written: its symbolic links lead in a circle`),
    )
  })
})

describe.runIf(process.platform === 'linux')('an output path that is no file', () => {
  const folder = scratchFolder()
  const refused = /: name a file, or - for standard output where one file is made$/

  test.each(['named pipe', 'device', 'socket'])('a %s is refused and stays, with force too', async (kind) => {
    const path = kind === 'device' ? makeDevice() : join(folder, kind)
    const server = createServer()
    if (kind === 'named pipe') execFileSync('mkfifo', [path])
    if (kind === 'socket') await new Promise<void>((listening) => server.listen(path, listening))
    try {
      const link = join(folder, `link to ${kind}`)
      symlinkSync(path, link)
      for (const to of [path, link])
        for (const options of [{}, force]) {
          const sentence = `${to} is a ${kind}, which is not written to`
          await expect(checkWritable(to, options)).rejects.toThrow(sentence)
          await expect(writeFileAtomic(to, 'x', options)).rejects.toThrow(refused)
        }
      expect(statSync(path).isFile()).toBe(false)
      const both = [join(folder, 'fresh'), path].map((to) => [to, 'x'] as const)
      await expect(writeFilesAtomic(both, force)).rejects.toThrow(refused)
      expect(existsSync(join(folder, 'fresh'))).toBe(false)
    } finally {
      server.close()
    }
  })

  test('an empty one is refused', async () => {
    await expect(writeFileAtomic('', 'x', force)).rejects.toThrow('the path of the file to write is empty')
  })

  test('an open file of this process is refused', async () => {
    for (const path of ['/dev/stdin', '/proc/self/fd/0'])
      await expect(checkWritable(path, force)).rejects.toThrow(refused)
    const file = join(folder, 'open')
    writeFileSync(file, 'kept')
    const script = `
      const { writeFileAtomic } = await import('${process.cwd()}/dist/files/write.js')
      await writeFileAtomic('/dev/stdin', 'x', { force: true }).catch((error) => console.log(error.message))`
    const args = ['-c', `exec "$0" --input-type=module -e "$1" < "$2"`, process.execPath, script, file]
    expect(execFileSync('sh', args, { encoding: 'utf8' })).toMatch(
      /^\/dev\/stdin is an open file of a process, which is not written to/,
    )
    expect(readFileSync(file, 'utf8')).toBe('kept')
  })

  /** One that nobody misses, where this user may make one. */
  function makeDevice(): string {
    try {
      const path = join(folder, 'null')
      execFileSync('mknod', [path, 'c', '1', '3'], { stdio: 'ignore' })
      return path
    } catch {
      return '/dev/null'
    }
  }
})
