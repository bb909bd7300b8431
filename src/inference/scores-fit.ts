import { InputError } from '../errors.js'
import type { HeadScores } from '../scores/head-scores.js'
import type { ModelIdentity } from './kv-cache.js'

/** @throws InputError when scores were made for another model, or have another shape */
export function checkScoresFit(scores: HeadScores, model: ModelIdentity): void {
  const { layers, kvHeads, provenance } = scores
  if (layers !== model.layers || kvHeads !== model.kvHeads) {
    throw new InputError(
      `the scores are of ${provenance.model || 'a model'} with ${layers} x ${kvHeads} KV heads, ` +
        `but ${model.id} has ${model.layers} x ${model.kvHeads}`,
    )
  }
  // Imported files know no hash; their shape is all there is to check.
  if (provenance.modelHash !== '' && provenance.modelHash !== model.hash) {
    throw new InputError(
      `the scores are of ${provenance.model}, whose config or weights differ from those of ${model.id}; score it anew`,
    )
  }
}
