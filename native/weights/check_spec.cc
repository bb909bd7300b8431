#include "check_spec.h"

#include <algorithm>
#include <cmath>

#include "../error.h"

namespace headzip {

float AttentionSpec::score_scale() const { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }

int64_t AttentionSpec::visible(int64_t tokens) const { return window == 0 ? tokens : std::min(tokens, window - 1); }

std::vector<int64_t> ModelSpec::scored_layers() const {
  std::vector<int64_t> scored;
  for (int64_t l = 0; l < layer_count(); ++l)
    if (layers[l].scored) scored.push_back(l);
  return scored;
}

int64_t ModelSpec::scored_heads() const {
  int64_t heads = 0;
  for (const LayerSpec& l : layers) heads += l.scored ? l.attention.kv_heads : 0;
  return heads;
}

int64_t ModelSpec::kv_values(int64_t tokens) const {
  int64_t values = 0;
  for (const LayerSpec& l : layers) values += 2 * l.attention.kv_width() * l.attention.visible(tokens);
  return values;
}

Widths ModelSpec::widths() const {
  Widths w;
  for (const LayerSpec& l : layers) {
    w.q = std::max(w.q, l.attention.q_width());
    w.kv = std::max(w.kv, l.attention.kv_width());
    if (const MoeSpec* moe = l.moe()) {
      w.mlp = std::max({w.mlp, moe->intermediate, moe->shared_intermediate});
      w.experts = std::max(w.experts, moe->experts);
    } else {
      w.mlp = std::max(w.mlp, std::get<DenseSpec>(l.mlp).intermediate);
    }
  }
  return w;
}

void check_ropes(const std::vector<RopeRef>& ropes, const ModelSpec& s) {
  if (ropes.empty() || ropes.size() != s.ropes.size())
    throw Error("ropes must hold " + std::to_string(std::max<size_t>(1, s.ropes.size())) + " entries, got " +
                std::to_string(ropes.size()));
  for (const RopeRef& rope : ropes) {
    if (rope->inv_freq.empty()) throw Error("invFreq must hold at least one value");
    for (const float f : rope->inv_freq)
      if (!std::isfinite(f)) throw Error("invFreq must be finite");
    if (!(rope->scale > 0) || !std::isfinite(rope->scale)) throw Error("the rope scale must be a positive number");
  }
  for (const LayerSpec& layer : s.layers) {
    if (layer.attention.rope >= ropes.size()) throw Error("a layer names a rope that is not in the list");
    const auto pairs = static_cast<int64_t>(ropes[layer.attention.rope]->inv_freq.size());
    if (pairs > layer.attention.head_dim / 2)
      throw Error("invFreq must hold 1 to head_dim / 2 values, got " + std::to_string(pairs));
  }
}

namespace {

// Bounds far above any model, far below what would overflow a product of three of them.
void within(const char* name, int64_t value, int64_t most) {
  if (value < 1 || value > most)
    throw Error(std::string(name) + " must be an integer from 1 to " + std::to_string(most) + ", got " + std::to_string(value));
}

void check_attention(const AttentionSpec& a) {
  within("num_attention_heads", a.heads, 4096);
  within("num_key_value_heads", a.kv_heads, a.heads);
  within("head_dim", a.head_dim, 1024);
  if (a.heads % a.kv_heads != 0) throw Error("num_attention_heads must be a multiple of num_key_value_heads");
  if (a.head_dim % 2 != 0) throw Error("head_dim must be even, got " + std::to_string(a.head_dim));
  if (a.window < 0) throw Error("a layer's window must not be negative");
  if (!(a.scale > 0)) throw Error("the attention scale must be a positive number");
}

void check_mlp(const LayerSpec& layer, bool out_norms) {
  const MoeSpec* moe = layer.moe();
  if (moe == nullptr) return within("intermediate_size", std::get<DenseSpec>(layer.mlp).intermediate, 1 << 20);
  if (out_norms) throw Error("a mixture of experts whose answer is normalised is not supported");
  within("num_experts", moe->experts, 4096);
  within("num_experts_per_tok", moe->per_token, moe->experts);
  within("moe_intermediate_size", moe->intermediate, 1 << 20);
  if (moe->shared_intermediate != 0) within("shared_expert_intermediate_size", moe->shared_intermediate, 1 << 20);
}

}  // namespace

void check_spec(const ModelSpec& s) {
  within("layers", s.layer_count(), 4096);
  within("hidden_size", s.hidden, 1 << 20);
  within("vocab_size", s.vocab, 1 << 24);
  within("max_position_embeddings", s.max_positions, 1 << 30);
  if (!(s.norm_eps > 0) || !(s.embed_scale > 0) || !(s.logit_cap >= 0) || !std::isfinite(s.norm_offset))
    throw Error("rms_norm_eps and the embedding scale must be positive numbers, the cap on logits at least 0");
  for (const LayerSpec& l : s.layers) {
    check_attention(l.attention);
    check_mlp(l, s.out_norms);
  }
  check_ropes(s.ropes, s);
  if (s.scored_layers().empty()) throw Error("at least one layer must be scored");
}

}  // namespace headzip
