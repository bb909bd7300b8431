import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeModel } from '../../../src/model/describe.js'
import { readGgufHeader } from '../../../src/model/gguf/header.js'
import { ggufFields } from '../../../src/model/tokenizer/gguf-fields.js'
import { scratchFolder } from '../../scratch.js'
import { refusalOf } from '../refusal.js'
import { tinyGguf } from './tiny-gguf.js'
import { f32, ggufBytes, numbers, text, texts, u32, type WrittenFile, writeGguf } from './write-gguf.js'

const file = join(scratchFolder(), 'm.gguf')
const tensor = (over: Partial<WrittenFile['tensors'][number]> = {}): WrittenFile['tensors'][number] => ({
  name: 'a',
  dimensions: [32, 2],
  type: 2,
  offset: 0,
  ...over,
})
const contents = (over: Partial<WrittenFile> = {}): WrittenFile => ({
  pairs: [['general.architecture', text('llama')]],
  tensors: [tensor()],
  data: 64,
  ...over,
})

const refusal = (act: () => unknown): string => refusalOf(act, file, 'FILE')

describe('a GGUF header', () => {
  it('gives each tensor its type, shape (outermost first) and place, and each key its value', () => {
    const pairs: WrittenFile['pairs'] = [
      ['a.text', text('é')],
      ['a.count', u32(7)],
      ['a.number', f32(0.5)],
      ['a.texts', texts(['x', '', 'ü'])],
      ['a.numbers', numbers('i32', [3, -4])],
      ['a.equal', numbers('i32', [3, 3])],
    ]
    const tensors = [tensor(), tensor({ name: 'b', dimensions: [4], type: 0, offset: 64 })]
    const bytes = ggufBytes({ pairs, tensors, data: 80 })
    writeFileSync(file, bytes)
    const header = readGgufHeader(file)
    const { metadata } = header
    expect(metadata.text('a.text')).toBe('é')
    expect(metadata.number('a.count')).toBe(7)
    expect(metadata.number('a.number')).toBe(0.5)
    expect(metadata.texts('a.texts')).toEqual(['x', '', 'ü'])
    expect(metadata.numbers('a.numbers')).toEqual([3, -4])
    expect(metadata.number('a.equal')).toBe(3)
    expect(() => metadata.number('a.numbers')).toThrow('a.numbers differs between layers')
    expect(header.tensors.get('a')).toMatchObject({ shape: [2, 32], bytes: 36, offset: bytes.length - 80 })
    expect(header.tensors.get('b')).toMatchObject({ shape: [4], bytes: 16, offset: bytes.length - 16 })
  })

  it.each<[string, Partial<WrittenFile>, string]>([
    ['a version of the future', { version: 4 }, 'FILE is of GGUF version 4; headzip reads versions 2 and 3'],
    ['the other byte order', { version: 0x03000000 }, 'FILE is a big-endian GGUF file'],
    [
      '2^60 tensors',
      { tensorCount: 2n ** 60n },
      'FILE announces 1152921504606846976 tensors, more than the 65536 that are possible',
    ],
    [
      '2^60 pairs',
      { pairCount: 2n ** 60n },
      'FILE announces 1152921504606846976 metadata pairs, more than the',
    ],
    ['more tensors than there are', { tensorCount: 9n }, 'FILE is truncated: its header goes on past byte'],
    [
      'a key that stands twice',
      {
        pairs: [
          ['k', u32(1)],
          ['k', u32(2)],
        ],
      },
      'FILE has the metadata key k twice',
    ],
    [
      'a text of 2^60 bytes',
      { pairs: [['k', Buffer.concat([text('').subarray(0, 4), Buffer.from([0, 0, 0, 0, 0, 0, 0, 16])])]] },
      'FILE announces 1152921504606846976 bytes of text, more than the',
    ],
    [
      'an array of 2^60 numbers',
      {
        pairs: [
          ['k', Buffer.concat([numbers('f32', []).subarray(0, 8), Buffer.from([0, 0, 0, 0, 0, 0, 0, 16])])],
        ],
      },
      'FILE announces 1152921504606846976 elements of k, more than the',
    ],
    [
      'arrays in arrays',
      { pairs: [['k', Buffer.from([9, 0, 0, 0, 9, 0, 0, 0])]] },
      'FILE: k is an array of arrays',
    ],
    [
      'an unknown kind of value',
      { pairs: [['k', Buffer.from([13, 0, 0, 0])]] },
      'FILE: k has the unknown value type 13',
    ],
    [
      'an alignment of 3',
      { pairs: [['general.alignment', u32(3)]] },
      "FILE: general.alignment must be a multiple of 8 up to 1 MiB, got '3'",
    ],
    [
      'a tensor named twice',
      { tensors: [tensor(), tensor({ offset: 64 })], data: 128 },
      'FILE names the tensor a twice',
    ],
    [
      'five dimensions',
      { tensors: [tensor({ dimensions: [1, 1, 1, 1, 1] })] },
      'FILE: tensor a has 5 dimensions',
    ],
    ['an unknown type', { tensors: [tensor({ type: 4 })] }, 'FILE: tensor a has the unknown type 4'],
    [
      'a size of none',
      { tensors: [tensor({ dimensions: [32, 0] })] },
      'FILE: tensor a of shape [0, 32] holds nothing',
    ],
    [
      'rows that blocks do not fill',
      { tensors: [tensor({ dimensions: [33, 2] })] },
      'FILE: tensor a has rows of 33, which Q4_0 cannot fill with blocks of 32',
    ],
    [
      'a size that overflows 64 bits',
      { tensors: [tensor({ dimensions: [2n ** 60n, 2n ** 60n, 2n ** 60n] })] },
      'FILE is truncated: tensor a ends ',
    ],
    [
      'an offset past the end',
      { tensors: [tensor({ offset: 2n ** 63n })] },
      'FILE is truncated: tensor a ends ',
    ],
    [
      'an offset off the grid',
      { tensors: [tensor({ offset: 8 })] },
      'FILE: tensor a starts at 8, which is not a multiple',
    ],
    [
      'a tensor past the end',
      { data: 35 },
      'FILE is truncated: tensor a ends 1 bytes past the end of the file',
    ],
    [
      'overlapping tensors',
      { tensors: [tensor(), tensor({ name: 'b', offset: 32 })], data: 128 },
      'FILE: tensors a and b overlap',
    ],
  ])('is refused with one sentence for %s', (_, over, sentence) => {
    writeGguf(file, contents(over))
    expect(refusal(() => readGgufHeader(file))).toContain(sentence)
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.from('PK\u0003\u0004 and more than twenty-four bytes')],
  ])('is refused for a file with %s in it', (_, bytes) => {
    writeFileSync(file, bytes)
    expect(refusal(() => readGgufHeader(file))).toBe('FILE is not a GGUF file: it does not begin with GGUF')
  })
})

describe('a GGUF model', () => {
  const edited = (edit: (contents: WrittenFile) => void): string => {
    const tiny = tinyGguf()
    edit(tiny)
    return writeGguf(file, tiny)
  }
  const set = (tiny: WrittenFile, key: string, value: Buffer): void => {
    tiny.pairs = [...tiny.pairs.filter(([name]) => name !== key), [key, value]]
  }

  it('is described from its metadata alone', () => {
    const { id, spec, weights, eosIds } = describeModel(edited(() => {}))
    expect(id).toBe('m')
    expect(spec.layers).toMatchObject([{ attention: { heads: 4, kvHeads: 2, headDim: 8 } }])
    expect(spec).toMatchObject({
      hiddenSize: 32,
      vocabSize: 8,
      maxPositions: 64,
      ropes: [{ scale: 1, adjacent: true }],
    })
    expect(weights.find(({ role }) => role === 'layers.0.k')).toMatchObject({
      dtype: 'Q4_1',
      shape: [16, 32],
    })
    // No head of its own: the embedding serves.
    expect(weights.find(({ role }) => role === 'lm_head')?.name).toBe('token_embd.weight')
    expect(eosIds).toEqual([2])
  })

  it.each<[string, (tiny: WrittenFile) => void, string]>([
    [
      'an architecture we do not know',
      (m) => set(m, 'general.architecture', text('mamba')),
      'FILE: the architecture mamba is not supported; supported: llama',
    ],
    [
      'no sizes',
      (m) => set(m, 'llama.embedding_length', text('x')),
      "FILE: llama.embedding_length must be a number, got 'x'",
    ],
    [
      '2^31 layers',
      (m) => set(m, 'llama.block_count', u32(2 ** 31)),
      "FILE: llama.block_count must be at most the file's 11 tensors",
    ],
    [
      'a missing tensor',
      (m) => {
        m.tensors = m.tensors.filter(({ name }) => !name.includes('ffn_up'))
      },
      'FILE holds no tensor blk.0.ffn_up.weight',
    ],
    [
      'another shape',
      (m) => set(m, 'llama.feed_forward_length', u32(96)),
      'FILE: tensor blk.0.ffn_gate.weight has shape [64, 32], the metadata make it [96, 32]',
    ],
    [
      'a type we do not compute with',
      (m) => {
        m.tensors[4]!.type = 20
      },
      'FILE: tensor blk.0.attn_q.weight is stored as IQ4_NL; supported: F32, F16',
    ],
    [
      'one part of several',
      (m) => set(m, 'split.count', u32(3)),
      'FILE is one part of 3, so that its name must be like m-00001-of-00003.gguf',
    ],
  ])('is refused with one sentence for %s', (_, edit, sentence) => {
    expect(refusal(() => describeModel(edited(edit)))).toContain(sentence)
  })

  it.each<[string, (tiny: WrittenFile) => void, string]>([
    [
      'no tokenizer',
      (m) => {
        m.pairs = m.pairs.filter(([key]) => !key.startsWith('tokenizer'))
      },
      'FILE: tokenizer.ggml.model must be a text, it is missing',
    ],
    [
      'a kind we do not know',
      (m) => set(m, 'tokenizer.ggml.model', text('rwkv')),
      "FILE: tokenizer.ggml.model must be gpt2 or llama, got 'rwkv'",
    ],
    [
      'a split we do not know',
      (m) => set(m, 'tokenizer.ggml.pre', text('own')),
      'FILE: tokenizer.ggml.pre must be one of gpt-2, smollm',
    ],
    [
      'a token that stands twice',
      (m) => set(m, 'tokenizer.ggml.tokens', texts(['a', 'b', 'a'])),
      "FILE: tokenizer.ggml.tokens has 'a' twice",
    ],
  ])('has no tokenizer, said in one sentence, for %s', (_, edit, sentence) => {
    const path = edited(edit)
    describeModel(path)
    expect(refusal(() => ggufFields(path))).toContain(sentence)
  })
})
