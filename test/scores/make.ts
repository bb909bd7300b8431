import type { HeadScores, Provenance } from '../../src/scores/head-scores.js'
import { randomFloats } from '../engine/tiny.js'

export const provenance: Provenance = {
  model: 'nano',
  modelHash: 'ab12',
  sources: [{ data: 'sample_qa_eng', index: 0, tokens: 10 }],
  method: 'kvzip',
  sweep: 'full',
  chunkSize: 2000,
  arithmetic: 'cpu/fp32',
  engineVersion: '0.1.0',
  created: '2026-01-02T03:04:05.000Z',
}

type Change = Partial<Omit<HeadScores, 'provenance'>> & { provenance?: Partial<Provenance> }

/** 2 layers x 3 KV heads over 10 positions, or what `change` says. */
export function makeScores(change: Change = {}): HeadScores {
  const base: HeadScores = {
    layers: 2,
    kvHeads: 3,
    layerIds: Int32Array.of(0, 1),
    max: Float32Array.of(1, 0.5, 0.25, 1, 0.125, 0),
    mean: Float32Array.of(0.1, 0.2, 0.05, 0.3, 0.01, 0),
    p99: Float32Array.of(0.9, 0.4, 0.2, 0.8, 0.1, 0),
    positions: 10,
    pairs: null,
    provenance,
  }
  return { ...base, ...change, provenance: { ...provenance, ...change.provenance } }
}

/** A score drawn for every head, and nothing else: what eviction needs. */
export function randomScores(layers: number, kvHeads: number, seed: number): HeadScores {
  return makeScores({
    layers,
    kvHeads,
    layerIds: Int32Array.from({ length: layers }, (_, i) => i),
    max: randomFloats(layers * kvHeads, seed),
    mean: null,
    provenance: { modelHash: '' },
  })
}

/** Scores as nano gives them: 6 x 4, many saturated; deterministic. */
export function nanoLike(data: string, shift: number): HeadScores {
  const max = Float32Array.from({ length: 24 }, (_, i) =>
    Math.min(1, Math.abs(Math.sin((i + 1) * 1.7 + shift)) * 1.15),
  )
  return makeScores({
    layers: 6,
    kvHeads: 4,
    layerIds: Int32Array.of(0, 1, 2, 3, 4, 5),
    max,
    mean: max.map((value) => value / 7),
    p99: max.map((value) => value / 2),
    positions: 6000,
    provenance: { sources: [{ data, index: 0, tokens: 6000 }] },
  })
}
