/** What a GGUF file's metadata say of a mixture of experts (MoE), in the words of config.json. */

import type { GgufHeader } from './header.js'

/** @param model.biased queries, keys and values have biases */
export function moeFields(
  { metadata, tensors }: GgufHeader,
  key: (rest: string) => string,
  model: { architecture: string; layers: number; biased: boolean },
): Record<string, unknown> {
  const experts = metadata.number(key('expert_count'))
  const perToken = metadata.number(key('expert_used_count'))
  const width = metadata.number(key('feed_forward_length'))
  if (model.architecture === 'llama') return { num_local_experts: experts, num_experts_per_tok: perToken }
  const dense = Array.from({ length: model.layers }, (_, layer) => layer)
  return {
    num_experts: experts,
    num_experts_per_tok: perToken,
    // Where the first converters wrote no widths, llama.cpp takes these.
    moe_intermediate_size: metadata.number(key('expert_feed_forward_length'), width / perToken),
    shared_expert_intermediate_size: metadata.number(key('expert_shared_feed_forward_length'), width),
    // Not in the files of these two: llama.cpp knows it by heart.
    norm_topk_prob: metadata.flag(key('expert_weights_norm'), model.architecture === 'qwen3moe'),
    mlp_only_layers: dense.filter((layer) => !tensors.has(`blk.${layer}.ffn_gate_inp.weight`)),
    qkv_bias: model.biased,
  }
}
