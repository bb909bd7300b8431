#include "restore.h"

#include "../error.h"
#include "../finite.h"

namespace headzip {

namespace {

void check(const CacheShape& shape, const ModelSpec& spec, int64_t most) {
  size_t heads = 0;
  for (const LayerSpec& l : spec.layers) heads += static_cast<size_t>(l.attention.kv_heads);
  if (shape.lengths.size() != heads || shape.windows.size() != 2 * heads)
    throw Error("a cache needs the length and window of every layer's KV heads");
  if (static_cast<int64_t>(shape.last_logits.size()) != spec.vocab) throw Error("a cache needs the logits of its last token");
  if (!all_finite(shape.last_logits)) throw Error("a cache's logits must be finite numbers");
  if (shape.prefix < 0 || shape.context < 0 || shape.prefix + shape.context > shape.position || shape.position > most)
    throw Error("a cache's prefix, context and position do not fit the model");
  for (size_t i = 0; i < heads; ++i) {
    const int64_t sink = shape.windows[2 * i], recent = shape.windows[2 * i + 1];
    if (shape.lengths[i] < 0 || shape.lengths[i] > shape.position || sink < 0 || recent < 0)
      throw Error("a cache's lengths and windows must lie within its positions");
    if (!shape.evicted && recent > 0) throw Error("a cache with streaming heads has been pruned");
  }
}

}  // namespace

std::unique_ptr<KvCache> empty_cache(Backend& backend, const ModelSpec& spec, const CacheShape& shape) {
  const int64_t most = shape.max_positions == 0 ? spec.max_positions : shape.max_positions;
  check(shape, spec, most);
  if (!shape.ropes.empty()) check_ropes(shape.ropes, spec);
  auto cache = std::make_unique<KvCache>();
  cache->scored = spec.scored_layers();
  cache->ropes = shape.ropes.empty() ? spec.ropes : shape.ropes;
  cache->max_positions = most;
  size_t i = 0;
  for (const LayerSpec& l : spec.layers) {
    auto layer = backend.kv(l.attention.kv_heads, l.attention.head_dim, 1);
    for (int64_t h = 0; h < l.attention.kv_heads; ++h, ++i) {
      layer->resize(h, shape.lengths[i], shape.position);
      if (shape.windows[2 * i + 1] > 0) layer->set_window(h, {shape.windows[2 * i], shape.windows[2 * i + 1]});
    }
    cache->layers.push_back(std::move(layer));
  }
  cache->prefix = shape.prefix;
  cache->context = shape.context;
  cache->position = cache->turn_start = shape.position;
  cache->evicted = shape.evicted;
  cache->last_logits = shape.last_logits;
  return cache;
}

}  // namespace headzip
