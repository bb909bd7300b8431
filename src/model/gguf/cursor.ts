/** Reads little-endian values of a file one after the other through a small window: no header is held as a whole. */

import { readSync } from 'node:fs'
import { InputError } from '../../errors.js'

const windowBytes = 2 ** 16

export class Cursor {
  private readonly window = Buffer.alloc(windowBytes)
  private windowStart = 0
  private windowLength = 0
  /** Byte of the file that is read next. */
  at = 0

  /** @param end nothing at or past this byte is read */
  constructor(
    private readonly handle: number,
    readonly file: string,
    readonly end: number,
  ) {}

  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    return this.take(1, (bytes, at) => bytes.readUInt8(at))
  }
  u32(): number {
    return this.take(4, (bytes, at) => bytes.readUInt32LE(at))
  }
  u64(): bigint {
    return this.take(8, (bytes, at) => bytes.readBigUInt64LE(at))
  }
  /** @param what for the message */
  count(what: string, most: number): number {
    const value = this.u64()
    if (value > BigInt(most))
      throw new InputError(`${this.file} announces ${value} ${what}, more than the ${most} that are possible`)
    return Number(value)
  }

  text(): string {
    const length = this.count('bytes of text', this.left - 8)
    if (length <= windowBytes)
      return this.take(length, (bytes, at) => bytes.toString('utf8', at, at + length))
    return this.bytes(length).toString('utf8')
  }

  bytes(length: number): Buffer {
    this.skip(length)
    const bytes = Buffer.alloc(length)
    if (readSync(this.handle, bytes, 0, length, this.at - length) < length) throw this.ended()
    return bytes
  }

  skip(length: number): void {
    if (length > this.left) throw this.ended()
    this.at += length
  }

  take<T>(length: number, read: (bytes: Buffer, at: number) => T): T {
    const start = this.at
    this.skip(length)
    if (start < this.windowStart || this.at > this.windowStart + this.windowLength) {
      this.windowStart = start
      this.windowLength = readSync(
        this.handle,
        this.window,
        0,
        Math.min(windowBytes, this.end - start),
        start,
      )
      if (this.windowLength < length) throw this.ended()
    }
    return read(this.window, start - this.windowStart)
  }

  private ended(): InputError {
    return new InputError(`${this.file} is truncated: its header goes on past byte ${this.end}`)
  }
}
