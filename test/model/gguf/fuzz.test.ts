import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isUserError } from '../../../src/errors.js'
import { loadModel } from '../../../src/inference/model.js'
import { scratchFolder } from '../../scratch.js'
import { tinyGguf } from './tiny-gguf.js'
import { ggufBytes, le64 } from './write-gguf.js'

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

describe('a mutated GGUF header', () => {
  it(`loads or is refused with a sentence, ${mutants} times`, async () => {
    const file = join(scratchFolder(), 'mutant.gguf')
    const tiny = tinyGguf()
    const good = ggufBytes(tiny)
    const headerBytes = good.length - tiny.data
    const random = generator(20260401)
    const outcomes = { loaded: 0, refused: 0 }
    const sentences = new Set<string>()
    for (let i = 0; i < mutants; i++) {
      writeFileSync(file, mutate(good, headerBytes, random))
      try {
        const model = await loadModel(file, { threads: 1 })
        try {
          model.tokenizer.encode('ab a')
        } finally {
          model.close()
        }
        outcomes.loaded++
      } catch (error) {
        if (!isUserError(error)) throw new Error(`mutant ${i} gave no sentence`, { cause: error })
        expect(error.message).not.toContain('\n  at ')
        sentences.add(error.message.replaceAll(/\d+/g, '0').slice(0, 60))
        outcomes.refused++
      }
    }
    expect(outcomes.loaded + outcomes.refused).toBe(mutants)
    expect(outcomes.loaded).toBeGreaterThan(mutants / 100)
    expect(outcomes.refused).toBeGreaterThan(mutants / 2)
    expect(sentences.size).toBeGreaterThan(20)
    expect(largest).toBeLessThan(mostBytes)
  }, 120_000)
})
