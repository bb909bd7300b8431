/** Greedy answers of two devices: where they part, the two tokens must have been all but equally good. */

import { expect } from 'vitest'
import type { KvCache } from '../../src/inference/kv-cache.js'
import type { Model } from '../../src/inference/model.js'

/** PyTorch's own bf16 turns around two of nano's logits that lie up to 0.48 apart (180 of 6,072 positions of the samples). */
export const tie = 0.5

/** @returns how far apart the CPU's logits of the two tokens are where the answers part; undefined where they do not */
export async function gapWhereTheyPart(
  cpu: Model,
  kv: KvCache,
  query: Int32Array,
  ours: Int32Array,
  theirs: Int32Array,
): Promise<number | undefined> {
  const at = theirs.findIndex((id, i) => id !== ours[i])
  if (at < 0) return ours.length === theirs.length ? undefined : Number.POSITIVE_INFINITY
  const logProb = async (ids: Int32Array): Promise<number> =>
    (await cpu.logProbsIds(query, ids.subarray(0, at + 1), { kv })).at(-1)!
  return ours.length > at ? (await logProb(theirs)) - (await logProb(ours)) : Number.POSITIVE_INFINITY
}

/** Counts and prints near-ties; anything else that differs fails. */
export class NearTies {
  private readonly gaps: string[] = []
  private answers = 0

  add(what: string, gap: number | undefined): void {
    this.answers += 1
    if (gap === undefined) return
    this.gaps.push(`${what}: ${gap.toFixed(4)}`)
    expect(gap, what).toBeLessThan(tie)
  }

  tell(label: string): void {
    const same = this.answers - this.gaps.length
    console.info(`${label}: ${same} of ${this.answers} answers equal${this.gaps.map((g) => `\n  ${g}`)}`)
  }
}
