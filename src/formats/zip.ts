/**
 * Zip archives as PyTorch writes them: stored, aligned, small. Written by hand because torch neither compresses
 * nor needs anything else, and because a reader that cannot inflate cannot be made to by a zip bomb.
 */

import { InputError } from '../errors.js'

const localHeader = 0x04034b50
const centralHeader = 0x02014b50
const endRecord = 0x06054b50
const endRecordSize = 22
/** A head score has six entries or so. */
const mostEntries = 64
/** PyTorch lays every entry's bytes at a multiple of this, so that storages can be mapped. */
const alignment = 64

/**
 * @returns entries by name; the bytes are views of `bytes`, whose checksums were compared
 * @throws InputError: not a zip, cut off, compressed, encrypted, zip64, too many entries, unsafe or double names
 */
export function readStoredZip(bytes: Uint8Array, where: string): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = findEnd(view, where)
  const count = view.getUint16(end + 10, true)
  const start = view.getUint32(end + 16, true)
  if (count === 0xffff || start === 0xffffffff)
    throw new InputError(`${where} is a zip64 archive, too large for scores`)
  if (count > mostEntries)
    throw new InputError(`${where} has ${count} entries, scores need at most ${mostEntries}`)
  const entries = new Map<string, Uint8Array>()
  let at = start
  let total = 0
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== centralHeader)
      throw new InputError(`${where} has a damaged zip directory`)
    const nameLength = view.getUint16(at + 28, true)
    const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameLength)).toString('utf8')
    if (/[\\\0]|^\/|^[A-Za-z]:|(^|\/)\.\.(\/|$)/.test(name))
      throw new InputError(`${where} has an entry with the unsafe name ${JSON.stringify(name.slice(0, 80))}`)
    if (entries.has(name))
      throw new InputError(`${where} has the entry ${JSON.stringify(name.slice(0, 80))} twice`)
    const entry = readEntry(view, bytes, at, name, where)
    total += entry.length
    if (total > bytes.length) throw new InputError(`${where} has entries that overlap`)
    entries.set(name, entry)
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
  }
  return entries
}

function findEnd(view: DataView, where: string): number {
  // The record may be followed by a comment of up to 65,535 bytes.
  const last = view.byteLength - endRecordSize
  for (let at = last; at >= Math.max(0, last - 0xffff); at--)
    if (view.getUint32(at, true) === endRecord) return at
  throw new InputError(`${where} is not a complete zip archive`)
}

function readEntry(view: DataView, bytes: Uint8Array, at: number, name: string, where: string): Uint8Array {
  const shown = JSON.stringify(name.slice(0, 80))
  const flags = view.getUint16(at + 8, true)
  const method = view.getUint16(at + 10, true)
  const packed = view.getUint32(at + 20, true)
  const size = view.getUint32(at + 24, true)
  const header = view.getUint32(at + 42, true)
  if (flags & 1) throw new InputError(`${where} has the encrypted entry ${shown}`)
  if (method !== 0 || packed !== size)
    throw new InputError(`${where} has the compressed entry ${shown}; torch stores`)
  if (header + 30 > bytes.length || view.getUint32(header, true) !== localHeader)
    throw new InputError(`${where} has no entry where its directory says ${shown} is`)
  const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true)
  if (start + size > bytes.length)
    throw new InputError(`${where} says that ${shown} has ${size} bytes, more than the file holds`)
  const data = bytes.subarray(start, start + size)
  if (crc32(data) !== view.getUint32(at + 16, true))
    throw new InputError(`${where} is damaged: the checksum of ${shown} does not match`)
  return data
}

/** Stored entries in the order given, dates zero: the same entries give the same bytes. */
export function writeStoredZip(entries: readonly (readonly [name: string, bytes: Uint8Array])[]): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, bytes] of entries) {
    const nameBytes = Buffer.from(name, 'utf8')
    // Padding goes into an extra field, which takes four bytes itself.
    const extra = Buffer.alloc(4 + mod(-(offset + 30 + nameBytes.length + 4), alignment), 'Z')
    extra.write('FB', 0, 'latin1')
    extra.writeUInt16LE(extra.length - 4, 2)
    const common = Buffer.alloc(26)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(bytes.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(nameBytes.length, 22)
    const local = Buffer.alloc(4)
    local.writeUInt32LE(localHeader)
    const localFields = Buffer.from(common)
    localFields.writeUInt16LE(extra.length, 24)
    parts.push(local, localFields, nameBytes, extra, Buffer.from(bytes))
    const central = Buffer.alloc(6)
    central.writeUInt32LE(centralHeader)
    const location = Buffer.alloc(14)
    location.writeUInt32LE(offset, 10)
    directory.push(central, common, location, nameBytes)
    offset += 30 + nameBytes.length + extra.length + bytes.length
  }
  const directorySize = directory.reduce((sum, part) => sum + part.length, 0)
  const end = Buffer.alloc(endRecordSize)
  end.writeUInt32LE(endRecord)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directorySize, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, ...directory, end])
}

/** zlib.crc32 came with Node 22.2; this package runs on 20. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!
  return (crc ^ 0xffffffff) >>> 0
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by
}
