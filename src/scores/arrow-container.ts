/**
 * Bounds of an Arrow file, checked before apache-arrow reads it: it trusts every length in the metadata, so that one
 * flipped bit can make it loop over or allocate billions of elements (its C++ sibling verifies first).
 * Layout: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format, File.fbs, Schema.fbs, Message.fbs.
 */

import { InputError } from '../errors.js'

/** What lies in a flatbuffer table, by field id; fields that are not listed are scalars, which cannot overrun. */
interface Shape {
  /** vectors and strings: bytes an element */
  vectors?: Record<number, number>
  tables?: Record<number, () => Shape>
  vectorsOfTables?: Record<number, () => Shape>
  /** a column's type by number; of those, only unions have a list of their own */
  typeField?: number
}

const keyValue: Shape = { vectors: { 0: 1, 1: 1 } }
const field: Shape = {
  vectors: { 0: 1 },
  typeField: 2,
  vectorsOfTables: { 5: () => field, 6: () => keyValue },
}
const schema: Shape = { vectors: { 3: 8 }, vectorsOfTables: { 1: () => field, 2: () => keyValue } }
const footer: Shape = {
  vectors: { 2: 24, 3: 24 },
  tables: { 1: () => schema },
  vectorsOfTables: { 4: () => keyValue },
}
const recordBatch: Shape = { vectors: { 1: 16, 2: 16, 4: 8 } }
const message: Shape = { tables: { 2: () => recordBatch }, vectorsOfTables: { 4: () => keyValue } }

/** Score files have 6 fields and a dozen metadata; tables may be shared, so count visits, not bytes. */
const mostTables = 4096
const unionType = 14
const recordBatchKind = 3
const mostBatches = 4096

/** @throws InputError when a length or offset in the metadata of the file cannot be true */
export function checkArrowContainer(bytes: Uint8Array, where: string): void {
  try {
    checkFile(bytes)
  } catch (error) {
    if (error instanceof Compressed)
      throw new InputError(
        `${where} is a compressed Arrow file: write it without compression to have it read`,
      )
    const why = error instanceof Damage ? error.message : 'an offset points outside'
    throw new InputError(`${where} is a damaged Arrow file (${why})`, { cause: error })
  }
}

class Damage extends Error {}

/** apache-arrow brings no codec; and what is stored as it is cannot be more than the file. */
class Compressed extends Error {}

function checkFile(bytes: Uint8Array): void {
  const view = viewOf(bytes, 0, bytes.length)
  const end = bytes.length - 10
  const buffer = new Flatbuffer(viewOf(bytes, end - view.getInt32(end, true), end))
  buffer.check(buffer.root, footer)
  const dictionaries = buffer.vector(buffer.root, 2)
  if (dictionaries && dictionaries.length > 0) throw new Damage('score files have no dictionaries')
  const blocks = buffer.vector(buffer.root, 3) ?? { start: 0, length: 0 }
  if (blocks.length > mostBatches) throw new Damage(`it claims ${blocks.length} record batches`)
  for (let i = 0; i < blocks.length; i++)
    checkBatch(bytes, view, Number(buffer.view.getBigInt64(blocks.start + i * 24, true)))
}

function checkBatch(bytes: Uint8Array, view: DataView, offset: number): void {
  // Since 0.15 a message starts with 0xffffffff and its length; the length alone before that.
  const start = offset + (view.getUint32(offset, true) === 0xffffffff ? 8 : 4)
  const buffer = new Flatbuffer(viewOf(bytes, start, start + view.getInt32(start - 4, true)))
  buffer.check(buffer.root, message)
  const [kind, header] = [buffer.field(buffer.root, 1), buffer.field(buffer.root, 2)]
  // Met with another kind where a batch should be, apache-arrow 21 reads it again and again without end.
  if (kind === null || header === null || buffer.view.getUint8(kind) !== recordBatchKind)
    throw new Damage('a record batch is not where the footer says')
  const batch = buffer.follow(header)
  if (buffer.field(batch, 3) !== null) throw new Compressed()
  const nodes = buffer.vector(batch, 1) ?? { start: 0, length: 0 }
  const counts = [buffer.field(batch, 0) ?? nodes.start]
  for (let i = 0; i < nodes.length; i++) counts.push(nodes.start + i * 16, nodes.start + i * 16 + 8)
  for (const at of counts) {
    const count = buffer.view.getBigInt64(at, true)
    // No column has more values than the file has bytes.
    if (count < 0n || count > BigInt(bytes.length)) throw new Damage(`it claims ${count} values`)
  }
}

/** A view that ends where the part ends: reading past it throws a RangeError. */
function viewOf(bytes: Uint8Array, start: number, end: number): DataView {
  if (!(start >= 0 && start < end && end <= bytes.length)) throw new Damage('a part lies outside')
  return new DataView(bytes.buffer, bytes.byteOffset + start, end - start)
}

class Flatbuffer {
  readonly root: number
  private visits = 0

  constructor(readonly view: DataView) {
    this.root = this.follow(0)
  }

  check(at: number, shape: Shape): void {
    if (++this.visits > mostTables) throw new Damage('its metadata have no end')
    const type = shape.typeField === undefined ? null : this.field(at, shape.typeField)
    if (type !== null && this.view.getUint8(type) === unionType)
      throw new Damage('score files have no unions')
    for (const [id, width] of Object.entries(shape.vectors ?? {})) {
      const vector = this.vector(at, Number(id))
      if (vector && vector.start + vector.length * width > this.view.byteLength)
        throw new Damage('a list runs past its end')
    }
    for (const [id, of] of Object.entries(shape.tables ?? {})) {
      const offset = this.field(at, Number(id))
      if (offset !== null) this.check(this.follow(offset), of())
    }
    for (const [id, of] of Object.entries(shape.vectorsOfTables ?? {})) {
      const vector = this.vector(at, Number(id))
      for (let i = 0; vector && i < vector.length; i++) this.check(this.follow(vector.start + i * 4), of())
    }
  }

  /** Where field `id` of the table at `at` lies; null when it is absent. */
  field(at: number, id: number): number | null {
    const slots = at - this.view.getInt32(at, true)
    const slot = 4 + 2 * id
    const offset = slot + 2 <= this.view.getUint16(slots, true) ? this.view.getUint16(slots + slot, true) : 0
    return offset === 0 ? null : at + offset
  }

  vector(at: number, id: number): { start: number; length: number } | null {
    const offset = this.field(at, id)
    if (offset === null) return null
    const vector = this.follow(offset)
    return { start: vector + 4, length: this.view.getUint32(vector, true) }
  }

  /** Offsets point forward from where they stand. */
  follow(offset: number): number {
    return offset + this.view.getUint32(offset, true)
  }
}
