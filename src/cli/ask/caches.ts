import type { JobOptions } from '../../engine/job.js'
import { budgetOfCache } from '../../inference/cache-budget.js'
import type { KvCache } from '../../inference/kv-cache.js'
import type { Model } from '../../inference/model.js'
import type { PrefillOptions } from '../../inference/prefill.js'
import type { Budget } from '../../scores/budget.js'
import { type ChosenEviction, evictionName } from '../eviction.js'

/** A cache to answer from: `full`, `head 0.6`. */
export interface NamedCache {
  name: string
  kv: KvCache
  budget: Budget
}

/** A cache that was read and saved before. @throws InputError naming what is wrong with the file */
export async function restoreContext(model: Model, path: string, job: JobOptions): Promise<NamedCache> {
  const kv = await model.restore(path, job)
  return named(evictionName(kv.pruned), kv)
}

/** Without a comparison the context is evicted while it is read, which keeps the peak low. */
export async function readContext(
  model: Model,
  context: string,
  eviction: ChosenEviction | undefined,
  compare: boolean,
  job: JobOptions & Pick<PrefillOptions, 'maxContext' | 'chunkSize'>,
): Promise<NamedCache[]> {
  const name = evictionName(eviction)
  if (!eviction || !compare) return [named(name, await model.prefill(context, { ...eviction, ...job }))]
  // Scored, where the level asks for it, and not yet evicted.
  const { ratio, ...scoring } = eviction
  const full = await model.prefill(context, { ...scoring, ...job })
  const kv = full.clone()
  kv.prune({ ...scoring, ratio })
  return [named('full', full), named(name, kv)]
}

function named(name: string, kv: KvCache): NamedCache {
  return { name, kv, budget: budgetOfCache(kv) }
}
