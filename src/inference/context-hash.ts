import { createHash } from 'node:crypto'

/** Names a context by what the model reads, the ids of system prefix and context: a saved cache is found by it. */
export function contextHash(prefixIds: Int32Array, contextIds: Int32Array): string {
  return createHash('sha256')
    .update(Int32Array.of(prefixIds.length))
    .update(prefixIds)
    .update(contextIds)
    .digest('hex')
}
