import { InputError } from '../../errors.js'

/** @throws InputError for no values */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new InputError('there is no mean of no values')
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The published figure of a data set: the mean within each sample, then over the samples. */
export function meanOfMeans(samples: readonly (readonly number[])[]): number {
  return mean(samples.map(mean))
}
