import { describe, expect, test } from 'vitest'
import { mergeScores } from '../../src/scores/merge.js'
import { makeScores, provenance } from './make.js'

const code = { provenance: { sources: [{ data: 'sample_repoqa', index: 2, tokens: 30 }] } }
const qa = makeScores()
const repo = makeScores({
  ...code,
  max: Float32Array.of(0.5, 0.75, 0.25, 0.5, 0.5, 0.125),
  mean: Float32Array.of(0.5, 0.6, 0.05, 0.1, 0.05, 0.04),
  p99: Float32Array.of(0.25, 0.5, 0.25, 0.5, 0.25, 0.125),
  positions: 30,
  pairs: new Float32Array(180),
})

describe('merging', () => {
  test('takes the maximum, weights the mean by positions and names every source', () => {
    const merged = mergeScores([qa, repo])
    expect(Array.from(merged.max)).toEqual([1, 0.75, 0.25, 1, 0.5, 0.125])
    expect(Array.from(merged.p99!)).toEqual(Array.from(Float32Array.of(0.9, 0.5, 0.25, 0.8, 0.25, 0.125)))
    const means = [0.4, 0.5, 0.05, 0.15, 0.04, 0.03]
    for (const [i, mean] of means.entries()) expect(merged.mean![i]).toBeCloseTo(mean, 6)
    expect(merged.positions).toBe(40)
    expect(merged.pairs).toBeNull()
    expect(merged.provenance).toEqual({
      ...provenance,
      sources: [
        { data: 'sample_qa_eng', index: 0, tokens: 10 },
        { data: 'sample_repoqa', index: 2, tokens: 30 },
      ],
    })
  })

  test('does not depend on how the inputs are grouped', () => {
    const third = makeScores({
      provenance: { sources: [{ data: 'gsm', index: 0, tokens: 5 }] },
      positions: 5,
    })
    const twice = mergeScores([mergeScores([qa, repo]), third])
    expect(twice).toEqual({ ...mergeScores([qa, repo, third]), mean: twice.mean })
    for (const [i, mean] of mergeScores([qa, repo, third]).mean!.entries())
      expect(twice.mean![i]).toBeCloseTo(mean, 6)
  })

  test('leaves out what one of them lacks', () => {
    const merged = mergeScores([qa, makeScores({ ...code, mean: null, p99: null })])
    expect([merged.mean, merged.p99]).toEqual([null, null])
  })

  test('changes none of its inputs', () => {
    mergeScores([qa, repo])
    expect(qa).toEqual(makeScores())
  })

  test('of scores whose arithmetic differs says both', () => {
    const cuda = makeScores({
      provenance: { ...code.provenance, arithmetic: 'cuda/bf16', created: '2026-05-01T00:00:00.000Z' },
    })
    const { arithmetic, created } = mergeScores([qa, cuda]).provenance
    expect([arithmetic, created]).toEqual(['cpu/fp32 + cuda/bf16', '2026-05-01T00:00:00.000Z'])
  })
})

describe('merging is refused with a sentence that names both', () => {
  const both = 'sample_qa_eng-0 and sample_repoqa-2 cannot be merged: their'
  const { sources } = code.provenance
  test.each([
    ['model', { provenance: { sources, model: 'mini' } }, `${both} model differs, nano against mini`],
    ['hash', { provenance: { sources, modelHash: '' } }, `${both} model hash differs, ab12 against none`],
    ['sweep', { provenance: { sources, sweep: 'chunk' } }, `${both} sweep differs, full against chunk`],
    ['method', { provenance: { sources, method: 'duo' } }, `${both} method differs, kvzip against duo`],
    ['chunk', { provenance: { sources, chunkSize: 500 } }, `${both} chunk size differs, 2000 against 500`],
    [
      'layers',
      { ...code, layerIds: Int32Array.of(0, 5) },
      `${both} set of scored layers differs, 0,1 against 0,5`,
    ],
    [
      'shape',
      { ...code, layers: 3, kvHeads: 2 },
      `${both} shape differs, 2 layers x 3 KV heads against 3 layers x 2 KV heads`,
    ],
  ] as const)('%s', (_, change, sentence) => {
    expect(() => mergeScores([qa, makeScores(change)])).toThrow(sentence)
  })

  test('the same source twice', () => {
    expect(() => mergeScores([qa, makeScores()])).toThrow('cannot be merged: both hold sample_qa_eng-0')
  })

  test('nothing', () => {
    expect(() => mergeScores([])).toThrow('nothing to merge: no scores were given')
  })
})
