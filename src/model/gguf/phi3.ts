/** What a GGUF file says of a Phi-3, in the words of config.json: the factors of its ropes are tensors. */

import type { GgufHeader } from './header.js'
import { readVector } from './values.js'

export function phi3Fields(
  header: GgufHeader,
  key: (rest: string) => string,
  headDim: number,
): Record<string, unknown> {
  const { metadata, tensors } = header
  const rotaryDim = metadata.number(key('rope.dimension_count'), headDim)
  if (!(rotaryDim >= 2 && rotaryDim <= headDim && rotaryDim % 2 === 0))
    throw metadata.mustBe(
      key('rope.dimension_count'),
      `an even number up to the head's ${headDim} dimensions`,
    )
  const window = metadata.number(key('attention.sliding_window'), 0)
  const original = key('rope.scaling.original_context_length')
  const shared = {
    // 0 where there is none.
    sliding_window: window === 0 ? null : window,
    // A share whose product with the head's size is cut off: half a dimension more keeps rounding from taking one.
    partial_rotary_factor: rotaryDim === headDim ? 1 : (rotaryDim + 0.5) / headDim,
    ...(metadata.has(original) && { original_max_position_embeddings: metadata.number(original) }),
  }
  if (!tensors.has('rope_factors_long.weight') && !tensors.has('rope_factors_short.weight')) return shared
  const scale = key('rope.scaling.attn_factor')
  return {
    ...shared,
    rope_scaling: {
      type: 'longrope',
      short_factor: readVector(header, 'rope_factors_short.weight', rotaryDim / 2),
      long_factor: readVector(header, 'rope_factors_long.weight', rotaryDim / 2),
      ...(metadata.has(scale) && { attention_factor: metadata.number(scale) }),
    },
  }
}
