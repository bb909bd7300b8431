/** Damage to files, the same for the same seed. */

import { ftruncateSync, openSync, writeSync } from 'node:fs'

/** Numbers, texts and structures that readers trip over. */
const traps = [
  '0',
  '-1',
  '1.5',
  '1e308',
  '1e999',
  '-0',
  '4294967295',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '1099511627776',
  'null',
  'true',
  '""',
  '"F32"',
  '"BF16"',
  '"I64"',
  '"F8_E4M3"',
  '[]',
  '{}',
  '[0,0]',
  '[0,18446744073709551615]',
  '[4294967296,4294967296]',
  '[1,2,3,4,5,6,7,8]',
  '[[[]]]',
  '{"dtype":"F32","shape":[],"data_offsets":[0,4]}',
  '"__proto__"',
  '"\\ud800"',
  'NaN',
  'Infinity',
  "'a'",
  '/* */',
]

/** mulberry32: small, seeded, and good enough to choose what to break. */
export class Random {
  constructor(private state: number) {}

  /** 0 <= integer < end */
  below(end: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end)
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}

/** Damage to JSON as text: one value for another, bytes, pieces doubled, dropped or moved. */
export function damagedJson(text: string, random: Random): string {
  let damaged = text
  for (let hits = 1 + random.below(3); hits > 0; hits--) {
    const at = random.below(damaged.length)
    const length = 1 + random.below(24)
    const [before, piece, after] = [
      damaged.slice(0, at),
      damaged.slice(at, at + length),
      damaged.slice(at + length),
    ]
    const kinds: (() => string)[] = [
      () => replaceValue(damaged, random),
      () => replaceValue(damaged, random),
      () => replaceDigits(damaged, random),
      () => before + String.fromCharCode(random.below(256)) + damaged.slice(at + 1),
      () => before + after,
      () => before + piece + piece + after,
      () => before + random.of(traps) + damaged.slice(at),
      () => before,
    ]
    damaged = random.of(kinds)()
  }
  return damaged
}

/** Puts a trap in the place of a number, a text or a list. */
function replaceValue(text: string, random: Random): string {
  return replaceOne(text, /-?\d[\d.e+-]*|"[^"]*"|\[[^[\]]*\]/g, () => random.of(traps), random)
}

/** Other numbers of the same kind, which is what passes the first checks. */
function replaceDigits(text: string, random: Random): string {
  return replaceOne(text, /\d+/g, (digits) => String(Number(digits) + random.below(9) - 4), random)
}

function replaceOne(text: string, pattern: RegExp, make: (found: string) => string, random: Random): string {
  const all = [...text.matchAll(pattern)]
  if (all.length === 0) return text
  const { index, 0: found } = random.of(all)
  return text.slice(0, index) + make(found) + text.slice(index + found.length)
}

/** Damage to a safetensors file: to the JSON of its header, to its announced length, or to the file's end. */
export function damagedHeader(file: Buffer, random: Random): Buffer {
  const length = Number(file.readBigUInt64LE())
  const json = file.toString('latin1', 8, 8 + length)
  const data = file.subarray(8 + length, 8 + length + 64 * 1024)
  const kinds: (() => Buffer)[] = [
    () => withHeader(Buffer.from(damagedJson(json, random), 'latin1'), file.subarray(8 + length)),
    () => withHeader(Buffer.from(damagedJson(json, random), 'latin1'), data),
    () => withHeader(Buffer.from(json, 'latin1'), file.subarray(8 + length), wrongLength(length, random)),
    () => file.subarray(0, random.below(file.length)),
    () => file.subarray(0, random.below(8 + length)),
  ]
  // Most of them hit the JSON.
  return random.below(3) > 0 ? kinds[0]!() : random.of(kinds)()
}

function wrongLength(length: number, random: Random): bigint {
  const near = BigInt(length + random.below(33) - 16)
  return random.of([
    near,
    0n,
    1n,
    2n ** 40n,
    2n ** 63n,
    2n ** 64n - 1n,
    2n ** 53n + 1n,
    8_388_608n,
    BigInt(length * 2),
  ])
}

function withHeader(json: Buffer, data: Buffer, announced = BigInt(json.length)): Buffer {
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(announced)
  return Buffer.concat([prefix, json, data])
}

/** Writes a file anew many times, in place: making it empty first costs a journaling file system milliseconds each time. */
export function overwriter(file: string): (bytes: Buffer | string) => void {
  const handle = openSync(file, 'w+')
  return (bytes) => {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    writeSync(handle, data, 0, data.length, 0)
    ftruncateSync(handle, data.length)
  }
}
