import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Tokenizer } from '../../../src/model/tokenizer.js'
import { packageRoot } from '../../cli/headzip.js'
import { scratchFolder } from '../../scratch.js'
import { flag, numbers, text, texts, u32, type WrittenFile, writeGguf } from './write-gguf.js'

interface Kind {
  model: 'gpt2' | 'llama'
  prefix?: boolean
  tokens: string[]
  types: number[]
  merges?: string[]
  scores?: number[]
  ids: number[][]
  /** null: the text itself */
  decoded: (string | null)[]
  partial?: { ids: number[]; decoded: string }[]
}
const fixture = JSON.parse(
  readFileSync(join(packageRoot, 'test/fixtures/tokenizers/small.json'), 'utf8'),
) as {
  texts: string[]
  kinds: Record<string, Kind>
}

function tokenizerOf(
  pre: string,
  { model, prefix, tokens, types, merges, scores }: Kind,
  more: WrittenFile['pairs'] = [],
): Tokenizer {
  const pairs: WrittenFile['pairs'] = [
    ['tokenizer.ggml.model', text(model)],
    ['tokenizer.ggml.pre', text(pre)],
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.token_type', numbers('i32', types)],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.add_space_prefix', flag(prefix ?? false)],
    ...(merges ? [['tokenizer.ggml.merges', texts(merges)] as [string, Buffer]] : []),
    ...(scores ? [['tokenizer.ggml.scores', numbers('f32', scores)] as [string, Buffer]] : []),
    ...more,
  ]
  const file = writeGguf(join(scratchFolder(), 'tokens.gguf'), { pairs, tensors: [], data: 0 })
  return new Tokenizer({ gguf: file })
}

describe.each(Object.entries(fixture.kinds))('the tokenizer of a GGUF file, split as %s', (pre, kind) => {
  const tokenizer = tokenizerOf(pre, kind)

  it('gives the ids of the Rust library for 200 hard texts, and their texts back', async () => {
    expect(fixture.texts).toHaveLength(200)
    for (const [i, each] of fixture.texts.entries()) {
      const ids = await tokenizer.encode(each)
      expect({ text: each, ids: [...ids] }).toEqual({ text: each, ids: kind.ids[i] })
      expect(await tokenizer.decode(ids, { special: true })).toBe(kind.decoded[i] ?? each)
    }
  })

  it('decodes nothing to nothing', async () => {
    expect(await tokenizer.decode([])).toBe('')
  })
})

describe.each(['llama', 'gemma'])('byte tokens of a vocabulary with pieces, as %s has it', (pre) => {
  const kind = fixture.kinds[pre]!
  const tokenizer = tokenizerOf(pre, kind)

  it('decode as the Rust library has it, runs that are cut or broken too', async () => {
    expect(kind.partial).toHaveLength(6)
    for (const { ids, decoded } of kind.partial!)
      expect(await tokenizer.decode(ids, { special: true })).toBe(decoded)
  })
})

describe('the token that begins a text', () => {
  const bos: [string, Buffer] = ['tokenizer.ggml.bos_token_id', u32(2)]
  const starts = async (pre: string, ...more: WrittenFile['pairs']): Promise<boolean> => {
    const tokenizer = tokenizerOf(pre, fixture.kinds[pre]!, more)
    const bare = await tokenizer.encode('Hello')
    const whole = await tokenizer.encode('Hello', { special: true })
    tokenizer.close()
    const alike = whole.length === bare.length
    expect([...whole]).toEqual(alike ? [...bare] : [2, ...bare])
    return !alike
  }

  it('stands before texts alone, where the file says so or its kind always has one', async () => {
    const known = ['llama', 'gemma', 'llama-bpe']
    expect(await Promise.all(known.map((pre) => starts(pre, bos)))).toEqual([true, true, true])
    expect([await starts('qwen2', bos), await starts('llama')]).toEqual([false, false])
    const asked = (yes: boolean): [string, Buffer] => ['tokenizer.ggml.add_bos_token', flag(yes)]
    expect(await starts('qwen2', bos, asked(true))).toBe(true)
    expect(await starts('llama', bos, asked(false))).toBe(false)
  })
})
