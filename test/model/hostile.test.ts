import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/open.js'
import { InputError, isUserError } from '../../src/errors.js'
import { loadModel } from '../../src/inference/model.js'
import { describeModel } from '../../src/model/describe.js'
import { readSafetensorsHeader } from '../../src/model/safetensors.js'
import { tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { damagedHeader, damagedJson, overwriter, Random } from './damage.js'
import { writeFp8Twins } from './fp8-twins.js'
import { writeSafetensors } from './write-safetensors.js'

const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))
const mebibytes = 2 ** 20

/** Most memory that the process has held, beyond what it held before. */
function growthOf(act: () => void): number {
  const peak = (): number => process.resourceUsage().maxRSS * 1024
  const before = peak()
  act()
  return peak() - before
}

/** A sentence, or undefined for what was accepted. Anything else that is thrown is a fault of ours. */
function sentenceOf(act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (!isUserError(error)) throw error
    expect(error.message).toMatch(/^[^\n]{10,}$/)
    expect(error.message.length).toBeLessThan(1000)
    return error.message
  }
}

/** The weights of a tiny model, which is left in the folder. */
function tinyWeights(folder: string): Buffer {
  return readFileSync(join(writeTinyModel(folder), 'model.safetensors'))
}

describe('damaged safetensors headers', () => {
  it('are refused with a sentence or read as JSON.parse reads them, 10,000 times', () => {
    const good = tinyWeights(scratchFolder())
    const file = join(scratchFolder(), 'damaged.safetensors')
    const write = overwriter(file)
    const random = new Random(1)
    const seen = { refused: 0, read: 0 }
    const act = (): void => {
      for (let i = 0; i < 10_000; i++) {
        const bytes = damagedHeader(good, random)
        write(bytes)
        const refused = sentenceOf(() => {
          const { tensors, json } = readSafetensorsHeader(file)
          const entries = Object.entries(JSON.parse(json.toString('utf8')) as object)
          expect([...tensors.keys()].sort()).toEqual(
            entries
              .map(([name]) => name)
              .filter((name) => name !== '__metadata__')
              .sort(),
          )
          const ends = [...tensors.values()].map(({ offset, bytes: size }) => offset + size)
          expect(Math.max(0, ...ends)).toBeLessThanOrEqual(bytes.length)
        })
        seen[refused === undefined ? 'read' : 'refused']++
      }
    }
    const growth = growthOf(act)
    expect(growth).toBeLessThan(64 * mebibytes)
    // Both sides of the line were visited.
    expect(seen.refused).toBeGreaterThan(5000)
    expect(seen.read).toBeGreaterThan(100)
  })

  it.each<[string, () => string]>([
    ['a whole model', () => writeTinyModel(scratchFolder())],
    ['one in FP8', () => writeFp8Twins(tinyShape, { block: [16, 20], scaleType: 'BF16' }).fp8],
  ])('of %s end in a sentence or in an engine that opens, 300 times', (_, make) => {
    const folder = make()
    const weights = join(folder, 'model.safetensors')
    const good = readFileSync(weights)
    const write = overwriter(weights)
    const random = new Random(2)
    let opened = 0
    for (let i = 0; i < 300; i++) {
      write(damagedHeader(good, random))
      const refused = sentenceOf(() => {
        const { spec, weights: refs } = describeModel(folder)
        openEngine(spec, refs, { threads: 1 }).engine.close()
      })
      if (refused === undefined) opened++
    }
    expect(opened).toBeGreaterThan(0)
  })

  it.each<[string, (size: number) => string]>([
    ['brackets', (size) => `{"a":${'['.repeat(size)}`],
    ['keys', (size) => `{${Array.from({ length: size / 12 }, (_, i) => `"${i.toString(36)}":0`).join(',')}}`],
    [
      'metadata',
      (size) => `{"__metadata__":{${Array.from({ length: size / 12 }, (_, i) => `"${i}":""`).join(',')}}}`,
    ],
    ['one name', (size) => `{"${'x'.repeat(size)}":0}`],
    ['one shape', (size) => `{"a":{"dtype":"F32","data_offsets":[0,4],"shape":[${'1,'.repeat(size / 2)}1]}}`],
  ])('of almost 8 MiB of %s take less than 64 MiB', (kind, make) => {
    const file = writeSafetensors(join(scratchFolder(), 'large'), make(8 * mebibytes - 1000))
    const { growth, outcome } = readAlone(file)
    expect(growth).toBeLessThan(64 * mebibytes)
    expect(outcome).toMatch(kind === 'metadata' ? /^read$/ : /^InputError: [^\n]{10,1000}$/)
  })
})

/** Reads a header in a process of its own, whose peak is the header's alone. */
function readAlone(file: string): { growth: number; outcome: string } {
  const reader = new URL('../../dist/model/safetensors.js', import.meta.url).href
  const script = `
    const { readSafetensorsHeader } = await import(${JSON.stringify(reader)})
    const peak = () => process.resourceUsage().maxRSS * 1024
    const before = peak()
    let outcome = 'read'
    try { readSafetensorsHeader(${JSON.stringify(file)}) } catch (error) { outcome = String(error) }
    console.log(JSON.stringify({ growth: peak() - before, outcome }))`
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  return JSON.parse(out) as { growth: number; outcome: string }
}

describe('damaged scales of FP8', () => {
  it('end in a sentence of the engine or in scores that are finite, 200 times', async () => {
    const { fp8: folder } = writeFp8Twins(tinyShape, { block: [16, 20], scaleType: 'BF16' })
    const file = join(folder, 'model.safetensors')
    const good = readFileSync(file)
    const scales = [...readSafetensorsHeader(file).tensors.values()].filter(({ name }) =>
      name.endsWith('_inv'),
    )
    const random = new Random(7)
    const write = overwriter(file)
    const outcomes = { refused: 0, scored: 0 }
    for (let i = 0; i < 200; i++) {
      const bytes = Buffer.from(good)
      const { offset, bytes: size } = random.of(scales)
      // Exponents of all kinds: from what vanishes to what overflows in a product.
      bytes.writeUInt16LE(random.below(2 ** 16), offset + 2 * random.below(size / 2))
      write(bytes)
      try {
        const model = await loadModel(folder, { threads: 1 })
        const kv = await model.prefillIds(Int32Array.of(1, 2, 3), Int32Array.of(4, 5, 6, 7))
        expect(kv.lastLogits.every(Number.isFinite)).toBe(true)
        model.close()
        outcomes.scored++
      } catch (error) {
        if (!isUserError(error)) throw error
        expect(error.message).toMatch(/must be a finite number of at least 0|not a finite number/)
        outcomes.refused++
      }
    }
    expect(outcomes.refused).toBeGreaterThan(50)
    expect(outcomes.scored).toBeGreaterThan(20)
  })
})

describe('damaged JSON beside the weights', () => {
  it.each([
    ['config.json', 'llama3', 3000],
    ['config.json', 'fp8-tensor', 1000],
    ['generation_config.json', 'llama3', 300],
    ['model.safetensors.index.json', 'llama-sharded', 1000],
  ])('%s of %s is refused with a sentence or describes a model, %i times', (name, fixture, times) => {
    const folder = join(scratchFolder(), 'model')
    cpSync(join(fixtures, fixture), folder, { recursive: true })
    const file = join(folder, name)
    const good = name.startsWith('gen')
      ? '{"eos_token_id": [2, 7], "bos_token_id": 1}'
      : readFileSync(file, 'utf8')
    const write = overwriter(file)
    const random = new Random(3)
    const growth = growthOf(() => {
      let described = 0
      for (let i = 0; i < times; i++) {
        write(damagedJson(good, random))
        if (sentenceOf(() => describeModel(folder)) === undefined) described++
      }
      expect(described).toBeGreaterThan(0)
      expect(described).toBeLessThan(times)
    })
    expect(growth).toBeLessThan(64 * mebibytes)
  })

  it.each([
    ['num_hidden_layers', 'an integer of at most 4096'],
    ['head_dim', 'an integer of at most 1024'],
    ['hidden_size', 'an integer of at most 1048576'],
  ])('may not make tables of two billion entries with %s', (field, expected) => {
    const folder = join(scratchFolder(), 'model')
    mkdirSync(folder)
    copyFileSync(join(fixtures, 'llama3/model.safetensors'), join(folder, 'model.safetensors'))
    const config = JSON.parse(readFileSync(join(fixtures, 'llama3/config.json'), 'utf8')) as object
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, [field]: 2_000_000_000 }))
    expect(() => describeModel(folder)).toThrow(
      new InputError(`${join(folder, 'config.json')}: ${field} must be ${expected}, got 2000000000`),
    )
  })

  it('nor with experts of many layers', () => {
    const folder = join(scratchFolder(), 'model')
    cpSync(join(fixtures, 'mixtral'), folder, { recursive: true })
    const file = join(folder, 'config.json')
    const config = JSON.parse(readFileSync(file, 'utf8')) as object
    writeFileSync(file, JSON.stringify({ ...config, num_hidden_layers: 4096, num_local_experts: 4096 }))
    const growth = growthOf(() =>
      expect(() => describeModel(folder)).toThrow(
        new InputError(`${file}: num_local_experts must be at most 16 in 4096 layers, got 4096`),
      ),
    )
    expect(growth).toBeLessThan(64 * mebibytes)
  })
})
