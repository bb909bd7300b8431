// The cache that a sweep leaves behind, evicted as it grows.
#include "sweep_run.h"

namespace headzip {

std::unique_ptr<KvCache> SweepRun::new_cache() const {
  auto cache = std::make_unique<KvCache>();
  cache->prefix = prefix_;
  cache->context = prefill_ - prefix_;
  cache->position = cache->turn_start = prefill_;
  cache->evicted = plan_.mask != nullptr || plan_.uniform.has_value();
  cache->scored = spec_.scored_layers();
  cache->ropes = plan_.ropes;
  cache->max_positions = plan_.max_positions;
  return cache;
}

// `scores` (kv_heads, context) of this layer, where there are any.
void SweepRun::evict(int64_t layer, KvLayer& kv, std::span<const float> scores, KvCache& cache) const {
  const int64_t context = prefill_ - prefix_;
  const AttentionSpec& attention = spec_.attention(layer);
  size_t first = 0;  // of the layer's heads in the mask
  for (int64_t l = 0; l < layer; ++l) first += scored(l) ? static_cast<size_t>(spec_.attention(l).kv_heads) : 0;
  std::vector<uint8_t> keep(static_cast<size_t>(context));
  for (int64_t h = 0; h < attention.kv_heads; ++h) {
    if (attention.window > 0) forget_before(kv, h, prefill_ - attention.window + 1);
    if (!scored(layer)) continue;
    if (plan_.mask != nullptr) {
      if (plan_.mask->keep[first + static_cast<size_t>(h)] == 0) cache.evict_head(kv, h, plan_.mask->window);
    } else if (plan_.uniform) {
      best_entries(scores.subspan(static_cast<size_t>(h * context), static_cast<size_t>(context)), *plan_.uniform, keep);
      kv.retain(h, kept_entries(kv, h, kv.length(h), {prefix_, context}, keep));
    }
  }
}

}  // namespace headzip
