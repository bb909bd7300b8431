import { isBlank, normalize } from './normalize.js'

/** 1 when the reference stands in the prediction, both normalised (KVzip, arXiv 2505.23416). */
export function include(prediction: string, reference: string): number {
  return !isBlank(prediction) && normalize(prediction).includes(normalize(reference)) ? 1 : 0
}
