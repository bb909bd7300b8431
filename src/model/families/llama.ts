import { decoderSpec, decoderWeights } from './decoder.js'
import type { Family } from './family.js'

/** Llama 2, 3, 3.1, 3.2 and the many models published in its layout. Defaults: transformers' LlamaConfig. */
export const llama: Family = {
  architectures: ['LlamaForCausalLM'],
  chat: 'llama3',
  spec: (config) => decoderSpec(config, { maxPositions: 2048, normEps: 1e-6, ropeTheta: 10000 }),
  weights(config, spec) {
    const attention = config.flag('attention_bias', false)
    const mlp = config.flag('mlp_bias', false)
    return decoderWeights(spec, config.flag('tie_word_embeddings', false), {
      q: attention,
      k: attention,
      v: attention,
      o: attention,
      gate: mlp,
      up: mlp,
      down: mlp,
    })
  },
}
