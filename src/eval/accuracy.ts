/** How well questions on long contexts are answered when some heads have lost their context. */

import type { Sample } from '../data/sample.js'
import type { JobOptions } from '../engine/job.js'
import { InputError } from '../errors.js'
import type { Model } from '../inference/model.js'
import { functionMatch } from './metrics/function-match.js'
import { include } from './metrics/include.js'
import type { Metric } from './metrics/index.js'

/** One way of evicting. */
export interface Arm {
  name: string
  /** (layers, kv_heads) 1 keeps its context KV; null evicts nothing */
  keep: Uint8Array | null
}

export interface ArmAccuracy {
  arm: string
  data: string
  /** Mean of the metric over all questions, 0..1. */
  accuracy: number
  questions: number
  /** Bytes of KV held, and of the full caches, summed over the samples. */
  bytes: number
  fullBytes: number
}

export interface AccuracyOptions extends JobOptions {
  /** Of each sample, only its first questions. */
  questionsOf?: ((sample: Sample) => number) | undefined
}

/** An answer longer than its reference by more than this is wrong already. */
const spareTokens = 8

/** One prefill a sample serves all arms. @returns one entry an arm and data set, in the order of the samples */
export async function measureAccuracy(
  model: Model,
  samples: readonly Sample[],
  arms: readonly Arm[],
  options: AccuracyOptions = {},
): Promise<ArmAccuracy[]> {
  const { onProgress, signal, questionsOf = (sample: Sample) => sample.queries.length } = options
  const results: ArmAccuracy[] = []
  const asked = samples.map((sample) => firstQuestions(sample, questionsOf(sample)))
  const total = asked.reduce((sum, { queries }) => sum + queries.length, 0) * arms.length
  let done = 0
  for (const sample of asked) {
    const full = await model.prefill(sample.context, { signal })
    try {
      for (const arm of arms) {
        const kv = arm.keep ? full.clone() : full
        try {
          if (arm.keep) kv.pruneHeads(arm.keep)
          const result = entryOf(results, arm.name, sample.data)
          result.bytes += kv.bytes
          result.fullBytes += kv.fullBytes
          for (const [i, query] of sample.queries.entries()) {
            const reference = sample.answers[i]!
            const maxNewTokens = (await model.tokenizer.encode(reference)).length + spareTokens
            const { text } = await model.generate(query, { kv, maxNewTokens, signal })
            add(result, metricOf(sample.data), text, reference)
            onProgress?.({ done: ++done / total })
          }
        } finally {
          if (kv !== full) kv.close()
        }
      }
    } finally {
      full.close()
    }
  }
  return results
}

function firstQuestions(sample: Sample, most: number): Sample {
  if (sample.answers.length === 0) {
    throw new InputError(`${sample.data} ${sample.index} has no ground_truth: its answers cannot be judged`)
  }
  return { ...sample, queries: sample.queries.slice(0, most), answers: sample.answers.slice(0, most) }
}

function entryOf(results: ArmAccuracy[], arm: string, data: string): ArmAccuracy {
  let found = results.find((each) => each.arm === arm && each.data === data)
  if (!found) {
    found = { arm, data, accuracy: 0, questions: 0, bytes: 0, fullBytes: 0 }
    results.push(found)
  }
  return found
}

/** Keeps `accuracy` the mean over the questions so far. */
function add(result: ArmAccuracy, metric: Metric, prediction: string, reference: string): void {
  result.questions++
  result.accuracy += (metric(prediction, reference) - result.accuracy) / result.questions
}

/** Strict ones, for answers that the embedded model gives whole or not at all: see eval/judge.ts for the published. */
function metricOf(data: string): Metric {
  return data.includes('repoqa') ? functionMatch : include
}
