import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/errors.js'
import { checkWritable, writeFileAtomic, writeFilesAtomic } from '../../src/files/write.js'

const folder = await mkdtemp(join(tmpdir(), 'headzip-files-'))

describe('an output file', () => {
  test('gets its folders made and leaves no temporary file behind', async () => {
    const path = join(folder, 'one/two/file.txt')
    await writeFileAtomic(path, 'hello')
    expect(await readdir(join(folder, 'one/two'))).toEqual(['file.txt'])
    expect(await readFile(path, 'utf8')).toBe('hello')
  })

  test('that exists is kept without force, replaced with it', async () => {
    const path = join(folder, 'kept.txt')
    await writeFileAtomic(path, 'first')
    const sentence = `${path} exists; pass --force to replace it`
    await expect(writeFileAtomic(path, 'second')).rejects.toThrow(new InputError(sentence))
    await expect(checkWritable(path)).rejects.toThrow(sentence)
    expect(await readFile(path, 'utf8')).toBe('first')
    await checkWritable(path, { force: true })
    await writeFileAtomic(path, 'second', { force: true })
    expect(await readFile(path, 'utf8')).toBe('second')
  })

  test('that ten write at once has one winner', async () => {
    const path = join(folder, 'race/winner.txt')
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => writeFileAtomic(path, `${i}`)),
    )
    expect(tries.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    expect(await readdir(join(folder, 'race'))).toEqual(['winner.txt'])
  })

  test('that cannot be written is said so early', async () => {
    const file = join(folder, 'plain')
    await writeFile(file, '')
    await mkdir(join(folder, 'a-folder'))
    await expect(checkWritable(join(file, 'x'))).rejects.toThrow(/plain is not a folder$/)
    await expect(checkWritable(join(folder, 'a-folder'), { force: true })).rejects.toThrow(
      /a-folder is a folder/,
    )
    await expect(checkWritable(join(folder, 'new/deep/x'))).resolves.toBeUndefined()
  })

  test('of several is not written when another of them exists', async () => {
    await writeFile(join(folder, 'taken'), 'old')
    const files = [
      [join(folder, 'fresh'), 'a'],
      [join(folder, 'taken'), 'b'],
    ] as const
    await expect(writeFilesAtomic(files)).rejects.toThrow(/taken exists/)
    expect(await readdir(folder)).not.toContain('fresh')
  })

  test('interrupted half way leaves nothing', async () => {
    const target = join(folder, 'interrupted')
    await mkdir(target)
    // Node strips no types before 22.18: the module is compiled as the build does it.
    const compiled = join(folder, 'compiled')
    execFileSync(process.execPath, [
      'node_modules/typescript/bin/tsc',
      'src/files/write.ts',
      ...[
        '--outDir',
        compiled,
        '--module',
        'nodenext',
        '--target',
        'es2023',
        '--skipLibCheck',
        '--types',
        'node',
      ],
    ])
    await writeFile(join(compiled, 'package.json'), '{"type":"module"}')
    const script = `
      const { writeFileAtomic } = await import(${JSON.stringify(join(compiled, 'files/write.js'))})
      const { readdirSync } = await import('node:fs')
      const watch = setInterval(() => readdirSync('.').length > 0 && process.stdout.write('x'), 1)
      writeFileAtomic('big.bin', new Uint8Array(200e6))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: target })
    let errors = ''
    child.stderr.on('data', (text) => {
      errors += text
    })
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
    await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended])
    expect(errors).toBe('')
    expect(await readdir(target)).toHaveLength(1)
    child.kill('SIGINT')
    expect(await ended).toBe('SIGINT')
    expect(await readdir(target)).toEqual([])
  })
})
