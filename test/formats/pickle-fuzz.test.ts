import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/errors.js'
import { readAnyScores } from '../../src/formats/detect.js'
import { decodeKvzip } from '../../src/formats/kvzip-pt.js'
import { readStoredZip, writeStoredZip } from '../../src/formats/zip.js'

const published = 'test/fixtures/published/kvzip'
const names = (await readdir(published)).filter((name) => name.endsWith('.pt'))
const originals = await Promise.all(names.map((name) => readFile(join(published, name))))
const folder = await mkdtemp(join(tmpdir(), 'headzip-fuzz-'))

/** The same files every time. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
}

function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  const mutated = Buffer.from(random(8) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes)
  for (let n = random(6); n >= 0 && mutated.length > 0; n--)
    mutated[random(mutated.length)] = random(3) === 0 ? 0x80 + random(16) : random(256)
  return mutated
}

/** Reads bytes, and says what came of it: finite scores, or one sentence. */
function outcome(bytes: Buffer): 'sound' | string {
  try {
    const { max } = decodeKvzip(bytes, 'x.pt')
    expect(max.every(Number.isFinite)).toBe(true)
    expect(max.length).toBeLessThanOrEqual(bytes.length / 2)
    return 'sound'
  } catch (error) {
    expect(error).toBeInstanceOf(InputError)
    expect((error as InputError).message).toMatch(/^x\.pt [^\n]+$/)
    return (error as InputError).message
  }
}

describe('5,000 mutated .pt files give finite scores or one sentence each', () => {
  test('2,500 with bytes changed anywhere: mostly a checksum tells', () => {
    const random = generator(7)
    const outcomes = Array.from({ length: 2500 }, (_, i) => outcome(mutate(originals[i % 5]!, random)))
    expect(outcomes.filter((each) => each !== 'sound').length).toBeGreaterThan(2000)
  })

  test('2,500 whose pickle is changed and whose checksums are right: the reader itself has to tell', () => {
    const random = generator(11)
    const before = process.memoryUsage().rss
    const outcomes = Array.from({ length: 2500 }, (_, i) => {
      const entries = [...readStoredZip(originals[i % 5]!, 'x.pt')]
      const changed = entries.map(([name, bytes]): [string, Uint8Array] =>
        name.endsWith('data.pkl') ? [name, mutate(Buffer.from(bytes), random)] : [name, bytes],
      )
      return outcome(Buffer.from(writeStoredZip(changed)))
    })
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20)
    const kinds = new Set(outcomes.map((each) => each.replaceAll(/"[^"]*"|0x[0-9a-f]+|\d+/g, '#')))
    // Not one check answers for all of them.
    expect(kinds.size).toBeGreaterThan(12)
    expect(outcomes.filter((each) => each !== 'sound').length).toBeGreaterThan(1500)
  })
})

const latin = (text: string) => Buffer.from(text, 'latin1')
const text = (content: string) => {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(content.length)
  return Buffer.concat([latin('X'), size, latin(content)])
}
/** `module.name(argument)`, as Python's pickle writes a call. */
const call = (module: string, name: string, argument: string) =>
  Buffer.concat([latin(`\x80\x02c${module}\n${name}\n`), text(argument), latin('\x85R.')])

describe('malicious files run nothing', () => {
  const mark = join(folder, 'executed')
  const shell = `touch ${mark}`
  test.each([
    ['os.system', call('os', 'system', shell)],
    ['posix.system', call('posix', 'system', shell)],
    ['subprocess.getoutput', call('subprocess', 'getoutput', shell)],
    ['builtins.eval', call('builtins', 'eval', `__import__('os').system('${shell}')`)],
    ['builtins.exec', call('builtins', 'exec', `open('${mark}', 'w')`)],
    ['an allowed name with a twist', call('torch._utils', '_rebuild_tensor_v2\u0000', shell)],
    ['a call of a storage', call('torch', 'FloatStorage', shell)],
    ['INST', Buffer.concat([latin('\x80\x02('), text(shell), latin('ios\nsystem\n.')])],
    ['OBJ', Buffer.concat([latin('\x80\x02(cos\nsystem\n'), text(shell), latin('o.')])],
    ['a reduction inside the arguments', Buffer.concat([latin('\x80\x02(('), call('os', 'system', shell)])],
  ])('%s', async (_, pickle) => {
    const path = join(folder, 'evil.pt')
    await writeFile(path, writeStoredZip([['evil/data.pkl', pickle]]))
    await expect(readAnyScores(path)).rejects.toThrow(/^\S+evil\.pt [^\n]+$/)
    expect(existsSync(mark)).toBe(false)
  })

  test.each(['../../etc/cron.d/evil', '/etc/passwd', 'a/../../b', 'C:\\evil', 'a\\..\\b'])(
    'an entry named %s is refused before anything is read',
    (name) => {
      const bytes = writeStoredZip([
        ['a/data.pkl', call('os', 'system', shell)],
        [name, latin('x')],
      ])
      expect(() => decodeKvzip(bytes, 'x.pt')).toThrow(/^x\.pt has an entry with the unsafe name/)
    },
  )

  test('a zip bomb is not inflated: a hundred megabytes of zeros in a hundred kilobytes', () => {
    const packed = deflateRawSync(Buffer.alloc(100 * 2 ** 20))
    const bytes = Buffer.from(writeStoredZip([['a/data.pkl', packed]]))
    const central = bytes.lastIndexOf(latin('PK\x01\x02'))
    bytes.writeUInt16LE(8, central + 10)
    bytes.writeUInt32LE(100 * 2 ** 20, central + 24)
    const before = process.memoryUsage().arrayBuffers
    expect(() => decodeKvzip(bytes, 'x.pt')).toThrow(
      'x.pt has the compressed entry "a/data.pkl"; torch stores',
    )
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
  })

  test('an entry that claims four gigabytes is refused', () => {
    const bytes = Buffer.from(originals[0]!)
    const central = bytes.indexOf(latin('PK\x01\x02'))
    bytes.writeUInt32LE(0xfffffff0, central + 20)
    bytes.writeUInt32LE(0xfffffff0, central + 24)
    expect(() => decodeKvzip(bytes, 'x.pt')).toThrow(/^x\.pt says that ".+" has 4294967280 bytes/)
  })
})
