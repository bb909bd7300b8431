/**
 * The part of Python's pickle that a saved tensor needs. Nothing is ever called or imported: GLOBAL yields a name
 * from a short list, REDUCE a record of what Python would have called, and every other opcode is refused.
 */

import { InputError } from '../errors.js'

export type PickleValue = string | number | boolean | null | PickleNode

export type PickleNode =
  | { kind: 'tuple'; items: PickleValue[]; depth: number }
  /** `torch._utils._rebuild_tensor_v2` */
  | { kind: 'global'; name: string; depth: number }
  /** A reference that the surrounding file resolves: torch's storages. */
  | { kind: 'persistent'; id: PickleValue; depth: number }
  | { kind: 'call'; callee: string; args: PickleValue[]; depth: number }

/** Limits far above what a tensor needs (about 160 bytes, depth 4, 12 memo slots). */
const mostBytes = 65_536
const mostItems = 256
const mostDepth = 16

/** As Python's pickletools names them. */
const op = {
  proto: 0x80,
  global: 0x63,
  mark: 0x28,
  tuple: 0x74,
  emptyTuple: 0x29,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  binUnicode: 0x58,
  binInt: 0x4a,
  binInt1: 0x4b,
  binInt2: 0x4d,
  newTrue: 0x88,
  newFalse: 0x89,
  none: 0x4e,
  binPut: 0x71,
  longBinPut: 0x72,
  binGet: 0x68,
  longBinGet: 0x6a,
  binPersId: 0x51,
  reduce: 0x52,
  stop: 0x2e,
} as const

const mark = Symbol('mark')

/**
 * @param globals the only names that may appear, `module.name`
 * @returns the pickled value, as plain data
 * @throws InputError: an opcode or name that is not listed, too long, too deep, cut off
 */
export function readPickle(bytes: Uint8Array, globals: ReadonlySet<string>, where: string): PickleValue {
  if (bytes.length > mostBytes)
    throw new InputError(
      `${where} has a pickle of ${bytes.length} bytes, a tensor needs less than ${mostBytes}`,
    )
  return new Reader(bytes, globals, where).read()
}

class Reader {
  private at = 0
  private readonly view: DataView
  private readonly stack: (PickleValue | typeof mark)[] = []
  private readonly memo = new Map<number, PickleValue>()

  constructor(
    private readonly bytes: Uint8Array,
    private readonly globals: ReadonlySet<string>,
    private readonly where: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  read(): PickleValue {
    for (;;) {
      const opcode = this.uint8()
      if (opcode === op.stop) return this.pop()
      const step = this.steps.get(opcode)
      if (!step) throw this.wrong(`uses opcode 0x${opcode.toString(16)}, which no plain tensor needs`)
      step()
      if (this.stack.length > mostItems || this.memo.size > mostItems)
        throw this.wrong('holds more values than a tensor has')
    }
  }

  private readonly steps = new Map<number, () => void>([
    [op.proto, () => this.protocol(this.uint8())],
    [op.global, () => this.global()],
    [op.mark, () => this.stack.push(mark)],
    [op.tuple, () => this.markedTuple()],
    [op.emptyTuple, () => this.tuple([])],
    [op.tuple1, () => this.tuple(this.popMany(1))],
    [op.tuple2, () => this.tuple(this.popMany(2))],
    [op.tuple3, () => this.tuple(this.popMany(3))],
    [op.binUnicode, () => this.push(this.text(this.uint32()))],
    [op.binInt, () => this.push(this.view.getInt32(this.take(4), true))],
    [op.binInt1, () => this.push(this.uint8())],
    [op.binInt2, () => this.push(this.view.getUint16(this.take(2), true))],
    [op.newTrue, () => this.push(true)],
    [op.newFalse, () => this.push(false)],
    [op.none, () => this.push(null)],
    [op.binPut, () => this.remember(this.uint8())],
    [op.longBinPut, () => this.remember(this.uint32())],
    [op.binGet, () => this.recall(this.uint8())],
    [op.longBinGet, () => this.recall(this.uint32())],
    [op.binPersId, () => this.persistent(this.pop())],
    [op.reduce, () => this.call()],
  ])

  private protocol(version: number): void {
    if (version !== 2) throw this.wrong(`has protocol ${version}, torch writes 2`)
  }

  private global(): void {
    const name = `${this.line()}.${this.line()}`
    if (!this.globals.has(name))
      throw this.wrong(
        `names ${JSON.stringify(name.slice(0, 80))}, which no plain tensor needs; nothing was run`,
      )
    this.push({ kind: 'global', name, depth: 1 })
  }

  private call(): void {
    const args = this.pop()
    const callee = this.pop()
    if (!isKind(callee, 'global') || !isKind(args, 'tuple'))
      throw this.wrong('calls something that is not a name')
    this.push({ kind: 'call', callee: callee.name, args: args.items, depth: args.depth + 1 })
  }

  private persistent(id: PickleValue): void {
    this.push({ kind: 'persistent', id, depth: deepest([id]) + 1 })
  }

  private markedTuple(): void {
    const opened = this.stack.lastIndexOf(mark)
    if (opened < 0) throw this.wrong('closes a tuple that it never opened')
    const items = this.popMany(this.stack.length - opened - 1)
    this.stack.pop()
    this.tuple(items)
  }

  private tuple(items: PickleValue[]): void {
    this.push({ kind: 'tuple', items, depth: deepest(items) + 1 })
  }

  private remember(slot: number): void {
    const top = this.pop()
    this.memo.set(slot, top)
    this.push(top)
  }

  private recall(slot: number): void {
    const value = this.memo.get(slot)
    if (value === undefined) throw this.wrong(`recalls memo ${slot}, which it never set`)
    this.push(value)
  }

  private push(value: PickleValue): void {
    if (deepest([value]) > mostDepth) throw this.wrong(`nests deeper than ${mostDepth}`)
    this.stack.push(value)
  }

  private pop(): PickleValue {
    const value = this.stack.pop()
    if (value === undefined || value === mark) throw this.wrong('takes a value that is not there')
    return value
  }

  private popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse()
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end < 0) throw this.wrong('is cut off')
    const text = this.text(end - this.at)
    this.take(1)
    return text
  }

  private text(length: number): string {
    const start = this.take(length)
    return Buffer.from(this.bytes.subarray(start, start + length)).toString('utf8')
  }

  private uint8(): number {
    return this.view.getUint8(this.take(1))
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4), true)
  }

  /** Moves past `length` bytes and returns where they start. */
  private take(length: number): number {
    const start = this.at
    if (start + length > this.bytes.length) throw this.wrong('is cut off')
    this.at += length
    return start
  }

  private wrong(what: string): InputError {
    return new InputError(`${this.where} is not a plain saved tensor: its pickle ${what}`)
  }
}

/** Each node knows its own depth: walking shared nodes again and again could take forever. */
function deepest(values: PickleValue[]): number {
  return values.reduce<number>(
    (most, value) => Math.max(most, typeof value === 'object' && value !== null ? value.depth : 0),
    0,
  )
}

export function isKind<K extends PickleNode['kind']>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleNode, { kind: K }> {
  return typeof value === 'object' && value !== null && value.kind === kind
}
