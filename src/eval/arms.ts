/** The ways of evicting that one evaluation compares. */

import { InputError } from '../errors.js'
import { levels } from '../inference/levels.js'
import type { HeadScores } from '../scores/head-scores.js'
import { randomHeadOrder } from '../scores/select.js'

/** What is evicted, and by which scores. `random` evicts whole heads by lot. */
export const evaluationLevels = [...levels, 'random'] as const
export type EvaluationLevel = (typeof evaluationLevels)[number]

export interface NamedScores {
  /** What tables and curves call them. */
  label: string
  /** sha256 of what they say, hex */
  hash: string
  scores: HeadScores
}

export interface Arm {
  level: EvaluationLevel | 'full'
  /** Share of KV kept; 1 for the full cache. */
  ratio: number
  /** Label of the head scores; '' where none are used. */
  scores: string
  /** Which of the random choices of heads; 0 elsewhere. */
  draw: number
  /** Head scores that choose; null for `full` and for levels that score pairs. */
  heads: HeadScores | null
}

export interface ArmsOptions {
  levels: readonly EvaluationLevel[]
  /** Ascending; 1 is the full cache, which is always an arm. */
  ratios: readonly number[]
  scores: readonly NamedScores[]
  /** Random choices of heads. */
  draws: number
  /** Of the model. */
  shape: { layers: number; kvHeads: number }
}

/** Full cache first, then level by level. @throws InputError when a level needs head scores and none are given */
export function armsOf({ levels: chosen, ratios, scores, draws, shape }: ArmsOptions): Arm[] {
  const arms: Arm[] = [{ level: 'full', ratio: 1, scores: '', draw: 0, heads: null }]
  for (const level of chosen)
    for (const ratio of ratios.filter((each) => each < 1)) {
      if (level === 'head' || level === 'streaming') {
        if (scores.length === 0) throw new InputError(`the level ${level} needs head scores: pass --scores`)
        for (const { label, scores: heads } of scores)
          arms.push({ level, ratio, scores: label, draw: 0, heads })
      } else if (level === 'random') {
        for (let draw = 0; draw < draws; draw++)
          arms.push({
            level,
            ratio,
            scores: '',
            draw,
            heads: randomScores(shape, draw, scores[0]?.scores.layerIds),
          })
      } else arms.push({ level, ratio, scores: '', draw: 0, heads: null })
    }
  return arms
}

/** Two arms with the same key answer the same. */
export function armKey({
  level,
  ratio,
  scores,
  draw,
}: Pick<Arm, 'level' | 'ratio' | 'scores' | 'draw'>): string {
  return JSON.stringify([level, ratio, scores, draw])
}

/**
 * Scores by which every ratio keeps the heads that `randomHeads` draws with this seed.
 * @param layerIds the layers whose heads may be evicted; all of them unless given
 */
export function randomScores(
  shape: { layers: number; kvHeads: number },
  seed: number,
  layerIds: Int32Array = Int32Array.from({ length: shape.layers }, (_, layer) => layer),
): HeadScores {
  const { kvHeads } = shape
  const layers = layerIds.length
  const order = randomHeadOrder({ layers, kvHeads }, seed)
  const max = new Float32Array(order.length)
  for (const [rank, cell] of order.entries()) max[cell] = 1 - rank / order.length
  return {
    layers,
    kvHeads,
    layerIds,
    max,
    mean: null,
    p99: null,
    positions: 0,
    pairs: null,
    provenance: {
      model: '',
      modelHash: '',
      sources: [{ data: `random ${seed}`, index: 0, tokens: 0 }],
      method: 'random',
      sweep: '',
      chunkSize: 0,
      arithmetic: '',
      engineVersion: '',
      created: '',
    },
  }
}
