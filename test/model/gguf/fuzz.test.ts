import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isUserError } from '../../../src/errors.js'
import { loadModel } from '../../../src/inference/model.js'
import { ggufFields } from '../../../src/model/tokenizer/gguf-fields.js'
import { LoadedTokenizer } from '../../../src/model/tokenizer/loaded.js'
import { scratchFolder } from '../../scratch.js'
import { ended } from '../steps.js'
import { converted, fileOf, splitName } from './converted.js'
import { tinyGguf } from './tiny-gguf.js'
import { ggufBytes, le64, u16, u32, type WrittenFile, writeGguf } from './write-gguf.js'

/** HEADZIP_FUZZ=10000 runs as many as a release is checked with. */
const mutants = Number(process.env.HEADZIP_FUZZ ?? 2000)
const mostBytes = 64 * 2 ** 20

function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const extremes = [0n, 1n, 31n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 40n, 2n ** 60n, 2n ** 63n, 2n ** 64n - 1n]

/** One to three faults in the header; the data behind it are never looked at by name. */
function mutate(good: Buffer, headerBytes: number, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(good)
  const kinds = [
    () => bytes.writeUInt8(random(256), random(headerBytes)),
    () => bytes.writeUInt8(bytes[4 + random(headerBytes - 4)]! ^ (1 << random(8)), random(headerBytes)),
    () => le64(extremes[random(extremes.length)]!).copy(bytes, random(headerBytes - 8)),
    () => bytes.copyWithin(random(headerBytes), random(headerBytes), random(headerBytes)),
    () => bytes.fill(random(256), random(headerBytes), random(headerBytes)),
  ]
  for (let faults = 1 + random(3); faults > 0; faults--) kinds[random(kinds.length)]!()
  return random(10) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
}

const { alloc } = Buffer
let largest = 0
beforeAll(() => {
  // Not a spy: it would hold every buffer.
  Buffer.alloc = (size, ...rest) => {
    largest = Math.max(largest, size)
    return alloc(size, ...rest)
  }
})
afterAll(() => {
  Buffer.alloc = alloc
})

interface Kind {
  name: string
  file: WrittenFile
  /** Whether a tokenizer is inside. */
  tokenizer: boolean
  times: number
  /** Of a split model: the other files, and which of all is mutated. */
  others?: WrittenFile[]
  part?: number
}

/** Besides the plain file, a quarter as often each. */
function kinds(): Kind[] {
  const of = (fixture: Parameters<typeof converted>[0]): WrittenFile => {
    const { pairs, tensors } = converted(fixture)
    return fileOf(pairs, tensors)
  }
  const { pairs, tensors } = converted('qwen3-moe')
  const split = (part: number): WrittenFile['pairs'] => [
    ['split.no', u16(part)],
    ['split.count', u16(2)],
    ['split.tensors.count', u32(tensors.length)],
  ]
  const halves = [
    fileOf([...pairs, ...split(0)], tensors.slice(0, 12)),
    fileOf(split(1), tensors.slice(12)),
  ] as const
  const times = Math.ceil(mutants / 4)
  const plain = { tokenizer: false, times }
  return [
    { name: 'plain', file: tinyGguf(), tokenizer: true, times: mutants },
    { name: 'mixtral', file: of('mixtral'), ...plain },
    { name: 'qwen2moe', file: of('qwen2-moe'), ...plain },
    { name: 'phi3', file: of('phi3'), ...plain },
    { name: 'first of two', file: halves[0], others: [halves[1]], part: 0, ...plain },
    { name: 'second of two', file: halves[1], others: [halves[0]], part: 1, ...plain },
  ]
}

describe('a mutated GGUF header', () => {
  it.each(kinds())(
    '$name loads or is refused with a sentence, $times times',
    async (kind) => {
      const folder = scratchFolder()
      const { part = 0, others, times } = kind
      const file = join(folder, others ? splitName('mutant', part, 2) : 'mutant.gguf')
      for (const other of others ?? []) writeGguf(join(folder, splitName('mutant', 1 - part, 2)), other)
      const opened = others ? join(folder, splitName('mutant', 0, 2)) : file
      const good = ggufBytes(kind.file)
      const { data } = kind.file
      const headerBytes = good.length - (typeof data === 'number' ? data : data.length)
      const random = generator(20260401)
      const outcomes = { loaded: 0, refused: 0 }
      const sentences = new Set<string>()
      for (let i = 0; i < times; i++) {
        writeFileSync(file, mutate(good, headerBytes, random))
        try {
          const model = await loadModel(opened, { threads: 1 })
          try {
            // Without a process of its own for each of them.
            if (kind.tokenizer) ended(new LoadedTokenizer(ggufFields(opened)).encode('ab a', false))
          } finally {
            model.close()
          }
          outcomes.loaded++
        } catch (error) {
          if (!isUserError(error)) throw new Error(`mutant ${i} gave no sentence`, { cause: error })
          expect(error.message).not.toContain('\n  at ')
          sentences.add(error.message.replaceAll(folder, '').replaceAll(/\d+/g, '0').slice(0, 60))
          outcomes.refused++
        }
      }
      expect(outcomes.loaded + outcomes.refused).toBe(times)
      expect(outcomes.loaded).toBeGreaterThan(times / 100)
      expect(outcomes.refused).toBeGreaterThan(times / 2)
      expect(sentences.size).toBeGreaterThan(20)
      expect(largest).toBeLessThan(mostBytes)
    },
    120_000,
  )
})
