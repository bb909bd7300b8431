/** The words for budgets, of a cache at hand. */

import { checkFields } from '../check.js'
import { type Budget, budget } from '../scores/budget.js'
import type { KvCache } from './kv-cache.js'
import { isPairLevel } from './levels.js'

/** What the engine kept of a cache, in the words for budgets; of hybrid models the scored layers alone, as ever. */
export function budgetOfCache(kv: Pick<KvCache, 'pruned' | 'info' | 'model' | 'window'>): Budget {
  checkFields(kv, 'kv', { info: 'object', model: 'object', pruned: 'object?', window: 'object?' })
  const { pruned, info, model, window } = kv
  const tokens = info.prefix + info.context
  const heads = model.layers * model.kvHeads
  if (!pruned) return budget({ kept: heads, total: heads, ratio: 1, sink: info.prefix, recent: 0, tokens })
  const { level, kept, total, ratio } = pruned
  return budget({
    unit: isPairLevel(level) ? 'pair' : 'head',
    kept,
    total,
    ratio,
    // A streaming head's sink covers the system prefix, which the other levels keep in every head.
    sink: Math.max(window?.sink ?? 0, info.prefix),
    recent: window?.recent ?? 0,
    tokens,
  })
}
