#include "kv_cache.h"

#include "../error.h"

namespace headzip {

KvCache::Snapshot KvCache::snapshot() const {
  Snapshot s{{}, position};
  for (const auto& layer : layers)
    for (int64_t h = 0; h < kv_heads; ++h) s.lengths.push_back(layer->length(h));
  return s;
}

void KvCache::truncate(const Snapshot& to) {
  size_t i = 0;
  for (const auto& layer : layers)
    for (int64_t h = 0; h < kv_heads; ++h) layer->truncate(h, to.lengths.at(i++));
  position = to.position;
}

std::unique_ptr<KvCache> KvCache::clone() const {
  auto copy = std::make_unique<KvCache>();
  for (const auto& layer : layers) copy->layers.push_back(layer->clone());
  copy->kv_heads = kv_heads;
  copy->sink = sink;
  copy->context = context;
  copy->position = position;
  copy->evicted = evicted;
  copy->last_logits = last_logits;
  return copy;
}

size_t KvCache::allocated_bytes() const {
  size_t bytes = 0;
  for (const auto& layer : layers) bytes += layer->allocated_bytes();
  return bytes;
}

size_t KvCache::used_bytes() const {
  size_t bytes = 0;
  for (const auto& layer : layers) bytes += layer->used_bytes();
  return bytes;
}

void retain_context(KvLayer& layer, int64_t head, int64_t sink, int64_t context, std::span<const uint8_t> keep) {
  std::vector<int64_t> index;
  for (int64_t i = 0; i < layer.length(head); ++i) {
    const bool in_context = i >= sink && i < sink + context;
    if (!in_context || (!keep.empty() && keep[i - sink] != 0)) index.push_back(i);
  }
  layer.retain(head, index);
}

void KvCache::begin_eviction() {
  if (evicted) throw Error("this cache has been pruned already; prefill the context again or prune a clone made before");
  evicted = true;
}

void KvCache::retain_heads(std::span<const uint8_t> mask) {
  if (mask.size() != layers.size() * kv_heads) throw Error("the mask of heads does not have layers x kv_heads entries");
  begin_eviction();
  for (size_t l = 0; l < layers.size(); ++l)
    for (int64_t h = 0; h < kv_heads; ++h)
      if (mask[l * kv_heads + h] == 0) retain_context(*layers[l], h, sink, context, {});
}

void KvCache::retain_pairs(std::span<const uint8_t> mask) {
  if (mask.size() != layers.size() * kv_heads * context)
    throw Error("the mask of pairs does not have layers x kv_heads x context entries");
  begin_eviction();
  for (size_t l = 0; l < layers.size(); ++l)
    for (int64_t h = 0; h < kv_heads; ++h)
      retain_context(*layers[l], h, sink, context, mask.subspan((l * kv_heads + h) * context, context));
}

}  // namespace headzip
