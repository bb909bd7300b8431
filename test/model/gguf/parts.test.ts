import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../../src/inference/model.js'
import { describeModel } from '../../../src/model/describe.js'
import { verifyModel } from '../../../src/verify/verify.js'
import { scratchFolder } from '../../scratch.js'
import { refusalOf } from '../refusal.js'
import { converted, fileOf, splitName } from './converted.js'
import { u16, u32, type WrittenFile, writeGguf } from './write-gguf.js'

const count = 3
const name = (part: number): string => splitName('model', part, count)

type Change = (pairs: WrittenFile['pairs'], part: number, file: WrittenFile) => void

/** qwen3-moe in three files. @returns their folder */
function writeParts(change: Change = () => {}): string {
  const folder = scratchFolder()
  const { pairs, tensors } = converted('qwen3-moe')
  const each = Math.ceil(tensors.length / count)
  for (let part = 0; part < count; part++) {
    const split: WrittenFile['pairs'] = [
      ['split.no', u16(part)],
      ['split.count', u16(count)],
      ['split.tensors.count', u32(tensors.length)],
    ]
    const own = part === 0 ? [...pairs, ...split] : split
    const file = fileOf(own, tensors.slice(part * each, (part + 1) * each))
    change(own, part, file)
    writeGguf(join(folder, name(part)), file)
  }
  return folder
}

function set(pairs: WrittenFile['pairs'], key: string, value: Buffer): void {
  pairs[pairs.findIndex(([known]) => known === key)] = [key, value]
}

describe('a model split over GGUF files', () => {
  it('is read from its first part, and gives the numbers of the whole', async () => {
    const folder = writeParts()
    const { source } = converted('qwen3-moe')
    const model = await loadModel(join(folder, name(0)))
    try {
      expect(model.description.id).toBe('model')
      expect(new Set(model.description.weights.map(({ file }) => file)).size).toBe(count)
      const report = await verifyModel(model, { cases: source.folder })
      expect(report.passed).toBe(true)
    } finally {
      model.close()
    }
  })

  it('is another model when any part is', () => {
    const hash = (folder: string): string => describeModel(join(folder, name(0))).hash
    const plain = hash(writeParts())
    expect(hash(writeParts())).toBe(plain)
    const moved = writeParts((pairs, part) => {
      if (part === 2) pairs.push(['general.note', u32(1)])
    })
    expect(hash(moved)).not.toBe(plain)
  })

  it('may say that it is whole', () => {
    const folder = scratchFolder()
    const { pairs, tensors } = converted('qwen3-moe')
    const whole = fileOf([...pairs, ['split.count', u16(0)]], tensors)
    expect(describeModel(writeGguf(join(folder, 'm.gguf'), whole)).id).toBe('m')
  })

  function refusal(act: (folder: string) => string, change?: Change): string {
    const folder = writeParts(change)
    const file = act(folder)
    return refusalOf(() => describeModel(file), `${folder}/`, '')
  }
  const first = (folder: string): string => join(folder, name(0))
  const inPart =
    (part: number, key: string, value: Buffer): Change =>
    (pairs, at) => {
      if (at === part) set(pairs, key, value)
    }

  it.each<[string, (folder: string) => string, Change | undefined, string]>([
    [
      'a part that is missing',
      (folder) => {
        rmSync(join(folder, name(2)))
        return first(folder)
      },
      undefined,
      'model-00001-of-00003.gguf is one part of 3, of which model-00003-of-00003.gguf is missing',
    ],
    [
      'a part that is not the first',
      (folder) => join(folder, name(1)),
      undefined,
      'model-00002-of-00003.gguf is not the first part of its model; give model-00001-of-00003.gguf',
    ],
    [
      'a name that does not tell the others',
      (folder) => {
        renameSync(first(folder), join(folder, 'm.gguf'))
        return join(folder, 'm.gguf')
      },
      undefined,
      'm.gguf is one part of 3, so that its name must be like m-00001-of-00003.gguf',
    ],
    [
      'another count of parts than the name has',
      first,
      inPart(0, 'split.count', u16(65535)),
      'model-00001-of-00003.gguf is one part of 65535, so that its name must be like model-00001-of-65535.gguf',
    ],
    [
      'a count that is no number of parts',
      first,
      inPart(0, 'split.count', u32(4_000_000_000)),
      "model-00001-of-00003.gguf: split.count must be at most 99999, got '4000000000'",
    ],
    [
      'a part in the place of another',
      first,
      inPart(1, 'split.no', u16(2)),
      "model-00002-of-00003.gguf: split.no must be 1 in this file, got '2'",
    ],
    [
      'a part of another model',
      first,
      inPart(2, 'split.count', u16(4)),
      "model-00003-of-00003.gguf: split.count must be 3, as in the first part, got '4'",
    ],
    [
      'tensors that are too few',
      first,
      inPart(0, 'split.tensors.count', u32(1000)),
      "model-00001-of-00003.gguf: split.tensors.count must be the 27 tensors that the parts hold, got '1000'",
    ],
    [
      'a tensor that two parts hold',
      first,
      (_, part, file) => {
        if (part === 2) file.tensors[0]!.name = 'token_embd.weight'
      },
      'model-00003-of-00003.gguf holds the tensor token_embd.weight, which model-00001-of-00003.gguf holds too',
    ],
    [
      'a part that is cut off',
      (folder) => {
        const bytes = readFileSync(join(folder, name(1)))
        rmSync(join(folder, name(1)))
        writeFileSync(join(folder, name(1)), bytes.subarray(0, bytes.length - 100))
        return first(folder)
      },
      undefined,
      'model-00002-of-00003.gguf is truncated',
    ],
  ])('refuses %s', (_, act, change, sentence) => {
    expect(refusal(act, change)).toContain(sentence)
  })
})
