import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../../src/inference/model.js'
import { describeModel } from '../../../src/model/describe.js'
import { verifyModel } from '../../../src/verify/verify.js'
import { scratchFolder } from '../../scratch.js'
import { converted, fileOf, type Named } from './converted.js'
import { f32, text, u32, type WrittenFile, writeGguf } from './write-gguf.js'

async function verify(file: string, cases: string): Promise<void> {
  const model = await loadModel(file, { threads: 2 })
  try {
    const report = await verifyModel(model, { cases })
    const failed = report.cases.flatMap((each) =>
      each.quantities.filter(({ passed }) => !passed).map((quantity) => [each.name, quantity]),
    )
    expect(failed).toEqual([])
    expect(report.cases.length).toBeGreaterThanOrEqual(2)
  } finally {
    model.close()
  }
}

describe('a GGUF file gives what transformers gives with the same weights', () => {
  it.each(['mixtral', 'qwen2-moe', 'qwen3-moe', 'phi3'] as const)('%s', async (fixture) => {
    const { source, pairs, tensors } = converted(fixture)
    const file = writeGguf(join(scratchFolder(), `${fixture}.gguf`), fileOf(pairs, tensors))
    const [ours, theirs] = [describeModel(file), describeModel(source.folder)]
    expect(ours.family.name).toBe(theirs.family.name)
    expect(ours.spec.layers).toEqual(theirs.spec.layers)
    await verify(file, source.folder)
  })

  it('where each expert has a tensor of its own, as in the first files of Mixtral', async () => {
    const { source, pairs, tensors } = converted('mixtral')
    const apart = tensors.flatMap((tensor): Named[] => {
      if (!tensor.name.includes('_exps')) return [tensor]
      const [experts, ...shape] = tensor.shape as [number, number, number]
      const size = tensor.values.length / experts
      return Array.from({ length: experts }, (_, i) => ({
        name: tensor.name.replace('_exps', '').replace('.weight', `.${i}.weight`),
        shape,
        values: tensor.values.slice(i * size, (i + 1) * size),
      }))
    })
    expect(apart.length).toBeGreaterThan(tensors.length)
    await verify(writeGguf(join(scratchFolder(), 'apart.gguf'), fileOf(pairs, apart)), source.folder)
  })

  it('takes the widths of experts that the first converters left out', () => {
    const { pairs, tensors } = converted('qwen2-moe')
    const without = pairs.filter(([key]) => !/expert_(shared_)?feed/.test(key))
    const file = writeGguf(join(scratchFolder(), 'old.gguf'), fileOf(without, tensors))
    // The dense width over the experts of a token, and the dense width.
    expect(() => describeModel(file)).toThrow(
      'tensor blk.1.ffn_gate_exps.weight has shape [5, 16, 32], the metadata make it [5, 24, 32]',
    )
  })
})

describe('one sentence for', () => {
  type Change = (model: { pairs: WrittenFile['pairs']; tensors: Named[] }) => void
  const set =
    (key: string, value: Buffer): Change =>
    ({ pairs }) => {
      const at = pairs.findIndex(([name]) => name === key)
      pairs.splice(at < 0 ? pairs.length : at, 1, [key, value])
    }
  const drop =
    (name: string): Change =>
    ({ tensors }) => {
      tensors.splice(
        tensors.findIndex((tensor) => tensor.name === name),
        1,
      )
    }

  it.each<['mixtral' | 'qwen2-moe' | 'qwen3-moe' | 'phi3', string, Change, string]>([
    [
      'mixtral',
      'more experts than the tensor has',
      set('llama.expert_count', u32(5)),
      'tensor blk.0.ffn_gate_inp.weight has shape [4, 32], the metadata make it [5, 32]',
    ],
    [
      'mixtral',
      'experts without end',
      set('llama.expert_count', u32(4096)),
      'tensor blk.0.ffn_gate_inp.weight has shape [4, 32], the metadata make it [4096, 32]',
    ],
    [
      'mixtral',
      'no experts for a token',
      set('llama.expert_used_count', u32(0)),
      'num_experts_per_tok must be a positive integer, got 0',
    ],
    [
      'mixtral',
      'missing experts',
      drop('blk.1.ffn_up_exps.weight'),
      'holds no tensor blk.1.ffn_up_exps.weight',
    ],
    [
      'mixtral',
      'experts, which Gemma does not have',
      set('general.architecture', text('gemma3')),
      'gemma3.embedding_length must be a number, it is missing',
    ],
    [
      'qwen3-moe',
      'MoE without experts',
      set('qwen3moe.expert_count', u32(0)),
      'qwen3moe.expert_count must be a positive integer',
    ],
    [
      'qwen2-moe',
      'a shared expert that is missing',
      drop('blk.1.ffn_gate_inp_shexp.weight'),
      'holds no tensor blk.1.ffn_gate_inp_shexp.weight',
    ],
    [
      'phi3',
      'factors of which half is missing',
      drop('rope_factors_long.weight'),
      'rope_scaling.long_factor must be a list of 3 positive numbers, it is missing',
    ],
    [
      'phi3',
      'a part of a head that is none',
      set('phi3.rope.dimension_count', u32(10)),
      "phi3.rope.dimension_count must be an even number up to the head's 8 dimensions",
    ],
    [
      'phi3',
      'a scaling that makes no sense',
      set('phi3.rope.scaling.attn_factor', f32(-1)),
      'rope_scaling.attention_factor must be a positive number, got -1',
    ],
  ])('%s with %s', (fixture, _, change, sentence) => {
    const model = converted(fixture)
    change(model)
    const file = writeGguf(join(scratchFolder(), 'm.gguf'), fileOf(model.pairs, model.tensors))
    expect(() => describeModel(file)).toThrow(sentence)
  })
})
