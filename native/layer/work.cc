#include "work.h"

namespace headzip {

int64_t buffer_values(const ModelSpec& s) {
  const Widths w = s.widths();
  return 2 * w.mlp + 2 * (w.q + w.kv) + 4 * s.hidden + w.experts;
}

double linear_work(const ModelSpec& s, int64_t layer) {
  const LayerSpec& l = s.layers[static_cast<size_t>(layer)];
  const MoeSpec* moe = l.moe();
  const int64_t inner =
      moe == nullptr ? std::get<DenseSpec>(l.mlp).intermediate : moe->per_token * moe->intermediate + moe->shared_intermediate;
  return static_cast<double>(s.hidden) * static_cast<double>(2 * (l.attention.q_width() + l.attention.kv_width()) + 3 * inner);
}

double attention_work(const AttentionSpec& s) { return 2.0 * static_cast<double>(s.q_width()); }

}  // namespace headzip
