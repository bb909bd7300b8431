import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readStoredZip, writeStoredZip } from '../../src/formats/zip.js'

const entries = [
  ['a/data.pkl', Buffer.from('pickle')],
  ['a/data/0', Buffer.alloc(100, 7)],
] as const

/** Where the directory's record of entry `index` starts. */
function directoryOf(bytes: Buffer, index: number): number {
  let at = bytes.readUInt32LE(bytes.length - 6)
  for (let i = 0; i < index; i++) at += 46 + bytes.readUInt16LE(at + 28)
  return at
}

function changed(change: (bytes: Buffer) => void): Uint8Array {
  const bytes = Buffer.from(writeStoredZip(entries))
  change(bytes)
  return bytes
}

describe('a stored zip', () => {
  test('gives back its entries, each aligned to 64 bytes as torch lays them', () => {
    const bytes = writeStoredZip(entries)
    const read = readStoredZip(bytes, 'a.pt')
    expect([...read.keys()]).toEqual(['a/data.pkl', 'a/data/0'])
    for (const [name, data] of entries) {
      expect(Buffer.from(read.get(name)!)).toEqual(data)
      expect((read.get(name)!.byteOffset - bytes.byteOffset) % 64).toBe(0)
    }
  })

  test('has the same bytes for the same entries', () => {
    expect(writeStoredZip(entries)).toEqual(writeStoredZip(entries))
  })
})

describe('a zip that is not what torch writes is refused', () => {
  const zeros = deflateRawSync(Buffer.alloc(2 ** 20))
  test.each([
    [
      'a bomb',
      changed((bytes) => {
        const at = directoryOf(bytes, 1)
        bytes.writeUInt16LE(8, at + 10)
        bytes.writeUInt32LE(zeros.length, at + 20)
        bytes.writeUInt32LE(2 ** 31, at + 24)
      }),
      'x.pt has the compressed entry "a/data/0"; torch stores',
    ],
    [
      'an encrypted entry',
      changed((bytes) => bytes.writeUInt16LE(1, directoryOf(bytes, 0) + 8)),
      'x.pt has the encrypted entry "a/data.pkl"',
    ],
    [
      'a size past the end',
      changed((bytes) => {
        const at = directoryOf(bytes, 1)
        bytes.writeUInt32LE(1e9, at + 20)
        bytes.writeUInt32LE(1e9, at + 24)
      }),
      'x.pt says that "a/data/0" has 1000000000 bytes, more than the file holds',
    ],
    [
      'changed data',
      changed((bytes) => {
        bytes[64] = 0
      }),
      'x.pt is damaged: the checksum of "a/data.pkl" does not match',
    ],
    [
      'a wrong offset',
      changed((bytes) => bytes.writeUInt32LE(1, directoryOf(bytes, 0) + 42)),
      'x.pt has no entry where its directory says "a/data.pkl" is',
    ],
    [
      'zip64',
      changed((bytes) => bytes.writeUInt32LE(0xffffffff, bytes.length - 6)),
      'x.pt is a zip64 archive, too large for scores',
    ],
    [
      'too many entries',
      changed((bytes) => bytes.writeUInt16LE(60000, bytes.length - 12)),
      'x.pt has 60000 entries, scores need at most 64',
    ],
    [
      'fewer entries than it says',
      changed((bytes) => bytes.writeUInt16LE(3, bytes.length - 12)),
      'x.pt has a damaged zip directory',
    ],
    [
      'a name that climbs',
      writeStoredZip([['../../etc/passwd', Buffer.from('x')]]),
      'x.pt has an entry with the unsafe name "../../etc/passwd"',
    ],
    [
      'an absolute name',
      writeStoredZip([['/etc/passwd', Buffer.from('x')]]),
      'x.pt has an entry with the unsafe name "/etc/passwd"',
    ],
    ['a name twice', writeStoredZip([entries[0], entries[0]]), 'x.pt has the entry "a/data.pkl" twice'],
    ['no zip', Buffer.from('PK but nothing else'), 'x.pt is not a complete zip archive'],
    ['nothing', new Uint8Array(), 'x.pt is not a complete zip archive'],
  ])('%s', (_, bytes, sentence) => {
    expect(() => readStoredZip(bytes, 'x.pt')).toThrow(sentence)
  })

  test('entries that together exceed the file', () => {
    const name = (i: number) => `a/${String(i).padStart(2, '0')}`
    const bytes = Buffer.from(
      writeStoredZip(
        Array.from(
          { length: 40 },
          (_, i) => [name(i), i === 0 ? Buffer.alloc(4000) : Buffer.alloc(1)] as const,
        ),
      ),
    )
    const first = directoryOf(bytes, 0)
    for (let i = 1; i < 40; i++)
      for (const field of [16, 20, 24, 42])
        bytes.writeUInt32LE(bytes.readUInt32LE(first + field), directoryOf(bytes, i) + field)
    expect(() => readStoredZip(bytes, 'x.pt')).toThrow('x.pt has entries that overlap')
  })
})
