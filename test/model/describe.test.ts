import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import { describeModel } from '../../src/model/describe.js'
import { tinyShape, writeTinyModel } from '../engine/tiny.js'
import { scratchFolder } from '../scratch.js'
import { refusalOf } from './refusal.js'

const fixtures = fileURLToPath(new URL('../fixtures/models', import.meta.url))
let folder: string

beforeEach(() => {
  folder = join(scratchFolder(), 'tiny')
})

/** Copies a fixture, changes fields of one of its JSON files, and gives the sentence of the refusal. */
function refusal(fixture: string, change: () => void): string {
  cpSync(join(fixtures, fixture), folder, { recursive: true })
  change()
  return refusalOf(() => describeModel(folder), folder, 'tiny')
}

function edit(name: string, change: (fields: Record<string, unknown>) => void): void {
  const fields = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown>
  change(fields)
  writeFileSync(join(folder, name), JSON.stringify(fields))
}

const set = (changes: object) => () => edit('config.json', (config) => Object.assign(config, changes))

describe('describing a model folder', () => {
  it('reads the sizes, the weights and where they lie', () => {
    const { id, spec, weights, eosIds, hash } = describeModel(join(fixtures, 'llama3'))
    expect(id).toBe('llama3')
    expect({ ...spec, ropes: spec.ropes.length }).toEqual({
      hiddenSize: 64,
      vocabSize: 512,
      maxPositions: 8192,
      normEps: 1e-5,
      normOffset: 0,
      embedScale: 1,
      logitCap: 0,
      activation: 'silu',
      outNorms: false,
      ropes: 1,
      layers: Array.from({ length: 3 }, () => ({
        attention: { heads: 4, kvHeads: 2, headDim: 16, window: 0, rope: 0, scale: 0.25, headNorms: false },
        mlp: { intermediateSize: 96 },
        scored: true,
      })),
    })
    expect(weights).toHaveLength(3 + 3 * 9)
    expect(weights.find(({ role }) => role === 'layers.1.k')).toMatchObject({
      name: 'model.layers.1.self_attn.k_proj.weight',
      dtype: 'F32',
      shape: [32, 64],
      bytes: 8192,
    })
    expect(eosIds).toEqual([2])
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
  })

  it('tells models of one layout apart by their weights', () => {
    const plain = describeModel(writeTinyModel(scratchFolder()))
    const again = describeModel(writeTinyModel(scratchFolder()))
    const other = describeModel(
      writeTinyModel(scratchFolder(), tinyShape, (name, values) => {
        if (name.includes('down_proj')) values.fill(0.5)
      }),
    )
    expect(again.hash).toBe(plain.hash)
    expect(other.hash).not.toBe(plain.hash)
  })

  it('finds tensors in shards, and the embedding again as a tied head', () => {
    const { weights } = describeModel(join(fixtures, 'llama-sharded'))
    const byRole = new Map(weights.map((weight) => [weight.role, weight]))
    expect(new Set(weights.map(({ file }) => file)).size).toBe(3)
    expect(byRole.get('lm_head')).toEqual({ ...byRole.get('embed'), role: 'lm_head' })
  })

  it('knows the embedded model by name', () => {
    const nano = describeModel('nano')
    expect(nano.id).toBe('nano')
    expect(nano.spec.maxPositions).toBe(8192)
  })

  it('calls for the biases that the config announces', () => {
    const sentence = refusal('llama3', set({ attention_bias: true }))
    expect(sentence).toBe(
      'tiny holds no tensor model.layers.0.self_attn.q_proj.bias, which its config.json calls for',
    )
  })

  it('adds the end-of-answer tokens of generation_config.json', () => {
    cpSync(join(fixtures, 'llama3'), folder, { recursive: true })
    writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id": [7, 2]}')
    expect(describeModel(folder).eosIds).toEqual([7, 2])
  })

  it.each<[string, string, () => void, string]>([
    [
      'no config.json',
      'llama3',
      () => rmSync(join(folder, 'config.json')),
      'tiny is not a model folder: it has no config.json',
    ],
    [
      'a config that is not JSON',
      'llama3',
      () => writeFileSync(join(folder, 'config.json'), '{'),
      'tiny/config.json is not valid JSON: ',
    ],
    [
      'no weights',
      'llama3',
      () => rmSync(join(folder, 'model.safetensors')),
      'tiny holds no weights: neither model.safetensors nor model.safetensors.index.json is there',
    ],
    [
      'a truncated file',
      'llama3',
      () => truncateSync(join(folder, 'model.safetensors'), 600_000),
      'tiny/model.safetensors is truncated: tensor model.layers.2.self_attn.o_proj.weight ends 10816 bytes past',
    ],
    [
      'a truncated shard',
      'llama-sharded',
      () => truncateSync(join(folder, 'model-00002-of-00003.safetensors'), 199_087),
      'tiny/model-00002-of-00003.safetensors is truncated: tensor model.layers.1.self_attn.v_proj.weight ends 1 bytes past the end of the file',
    ],
    [
      'a missing shard',
      'llama-sharded',
      () => rmSync(join(folder, 'model-00003-of-00003.safetensors')),
      'into model-00003-of-00003.safetensors, which is missing',
    ],
    [
      'an index naming a missing tensor',
      'llama-sharded',
      () => editIndex({ 'model.norm2.weight': 'model-00001-of-00003.safetensors' }),
      'tiny/model.safetensors.index.json puts the tensor model.norm2.weight into model-00001-of-00003.safetensors, which does not hold it',
    ],
    [
      'an index that leaves the folder',
      'llama-sharded',
      () => editIndex({ 'model.norm.weight': '../secret' }),
      'tiny/model.safetensors.index.json puts the tensor model.norm.weight into something that is not a file of this folder',
    ],
    [
      'a tensor the index forgot',
      'llama-sharded',
      () => editIndex({ 'model.norm.weight': undefined }),
      'tiny holds no tensor model.norm.weight, which its config.json calls for',
    ],
    [
      'a weight of the wrong shape',
      'llama3',
      set({ intermediate_size: 97 }),
      'tiny/model.safetensors: tensor model.layers.0.mlp.gate_proj.weight has shape [96, 64], config.json makes it [97, 64]',
    ],
    [
      'an unknown architecture',
      'llama3',
      set({ architectures: ['GPT2LMHeadModel'] }),
      'tiny/config.json: the architecture GPT2LMHeadModel is not supported; supported: LlamaForCausalLM',
    ],
    [
      'no architecture',
      'llama3',
      set({ architectures: null }),
      'tiny/config.json: architectures must be a list that names the model class, it is missing',
    ],
    [
      'a missing size',
      'llama3',
      set({ hidden_size: null }),
      'tiny/config.json: hidden_size must be a positive integer, it is missing',
    ],
    [
      'a size of zero',
      'llama3',
      set({ num_hidden_layers: 0 }),
      'tiny/config.json: num_hidden_layers must be a positive integer, got 0',
    ],
    [
      'a size that is text',
      'llama3',
      set({ vocab_size: '512' }),
      'tiny/config.json: vocab_size must be a positive integer, got "512"',
    ],
    [
      'KV heads that do not divide the heads',
      'llama3',
      set({ num_key_value_heads: 3 }),
      'tiny/config.json: num_key_value_heads must be a divisor of num_attention_heads 4, got 3',
    ],
    [
      'an odd head_dim',
      'llama3',
      set({ head_dim: 15 }),
      'tiny/config.json: head_dim must be even, as RoPE rotates pairs, got 15',
    ],
    [
      'another activation',
      'llama3',
      set({ hidden_act: 'gelu' }),
      'tiny/config.json: hidden_act must be silu, got "gelu"',
    ],
    [
      'an unknown rope',
      'llama3',
      set({ rope_scaling: { type: 'su' } }),
      'tiny/config.json: rope_scaling.type must be one of default, linear, dynamic, llama3, yarn, longrope, got "su"',
    ],
    [
      'a rope without its factor',
      'llama3',
      set({ rope_scaling: { rope_type: 'llama3', low_freq_factor: 1, high_freq_factor: 4 } }),
      'tiny/config.json: rope_scaling.factor must be a positive number, it is missing',
    ],
    [
      'rope factors the wrong way round',
      'llama3',
      set({ rope_scaling: { rope_type: 'llama3', low_freq_factor: 4, high_freq_factor: 4 } }),
      'tiny/config.json: rope_scaling.high_freq_factor must be above low_freq_factor 4, got 4',
    ],
  ])('refuses %s with one sentence', (_, fixture, change, sentence) => {
    expect(refusal(fixture, change)).toContain(sentence)
  })

  it('refuses a path that is no folder', () => {
    expect(() => describeModel('./no-such-model')).toThrow(
      './no-such-model is not a model: give a folder with a config.json, a .gguf file, or nano',
    )
  })
})

function editIndex(changes: Record<string, string | undefined>): void {
  edit('model.safetensors.index.json', (index) => Object.assign(index.weight_map as object, changes))
}
