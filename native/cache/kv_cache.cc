#include "kv_cache.h"

#include <algorithm>

#include "../error.h"

namespace headzip {

std::unique_ptr<KvCache> KvCache::clone() const {
  auto copy = std::make_unique<KvCache>();
  for (const auto& layer : layers) copy->layers.push_back(layer->clone());
  copy->kv_heads = kv_heads;
  copy->sink = sink;
  copy->context = context;
  copy->position = position;
  copy->turn_start = turn_start;
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

std::vector<int64_t> KvCache::lengths() const {
  std::vector<int64_t> all;
  for (const auto& layer : layers)
    for (int64_t h = 0; h < kv_heads; ++h) all.push_back(layer->length(h));
  return all;
}

Window streaming_window(Window window, int64_t sink) { return {std::max(window.sink, sink), window.recent}; }

void KvCache::check_unpruned() const {
  if (evicted) throw Error("this cache has been pruned already; prefill the context again, or prefill it with kind retain");
}

namespace {

void check_size(size_t have, size_t want, const char* what) {
  if (have != want) throw Error(what);
}
constexpr const char* kHeads = "the mask of heads does not have layers x kv_heads entries";
constexpr const char* kPairs = "the mask of pairs does not have layers x kv_heads x context entries";

bool all_kept(std::span<const uint8_t> keep) {
  return std::all_of(keep.begin(), keep.end(), [](uint8_t bit) { return bit != 0; });
}

}  // namespace

void KvCache::retain_heads(std::span<const uint8_t> mask, Window window) {
  check_size(mask.size(), layers.size() * kv_heads, kHeads);
  check_unpruned();
  evicted = true;
  const Window streaming = streaming_window(window, sink);
  for (size_t l = 0; l < layers.size(); ++l)
    for (int64_t h = 0; h < kv_heads; ++h) {
      if (mask[l * kv_heads + h] != 0) continue;
      const int64_t entries = layers[l]->length(h);
      if (window.recent == 0) {
        layers[l]->retain(h, kept_entries({sink, context, entries}, {}));
      } else {
        layers[l]->set_window(h, streaming);
        layers[l]->retain(h, streaming_entries(entries, streaming));
      }
    }
}

void KvCache::retain_pairs(std::span<const uint8_t> mask) {
  check_size(mask.size(), layers.size() * kv_heads * context, kPairs);
  check_unpruned();
  evicted = true;
  for (size_t l = 0; l < layers.size(); ++l)
    for (int64_t h = 0; h < kv_heads; ++h) {
      const auto keep = mask.subspan((l * kv_heads + h) * context, context);
      if (!all_kept(keep)) layers[l]->retain(h, kept_entries({sink, context, layers[l]->length(h)}, keep));
    }
}

template <typename Choose>
std::unique_ptr<KvCache> KvCache::select(Choose&& choose) const {
  check_unpruned();
  auto copy = std::make_unique<KvCache>();
  const int64_t since = position - sink - context;
  for (size_t l = 0; l < layers.size(); ++l) {
    std::vector<std::vector<int64_t>> index;
    for (int64_t h = 0; h < kv_heads; ++h)
      index.push_back(choose(static_cast<int64_t>(l), h, layers[l]->length(h) - since));
    copy->layers.push_back(layers[l]->gather(index));
  }
  copy->kv_heads = kv_heads;
  copy->sink = sink;
  copy->context = context;
  copy->position = copy->turn_start = sink + context;
  copy->evicted = true;
  copy->last_logits = last_logits;
  return copy;
}

std::unique_ptr<KvCache> KvCache::select_heads(std::span<const uint8_t> mask, Window window) const {
  check_size(mask.size(), layers.size() * kv_heads, kHeads);
  const Window streaming = streaming_window(window, sink);
  auto copy = select([&](int64_t l, int64_t h, int64_t entries) {
    if (mask[l * kv_heads + h] != 0) return all_entries(entries);
    return window.recent == 0 ? kept_entries({sink, context, entries}, {}) : streaming_entries(entries, streaming);
  });
  for (size_t i = 0; i < mask.size() && window.recent > 0; ++i)
    if (mask[i] == 0) copy->layers[i / kv_heads]->set_window(static_cast<int64_t>(i) % kv_heads, streaming);
  return copy;
}

std::unique_ptr<KvCache> KvCache::select_pairs(std::span<const uint8_t> mask) const {
  check_size(mask.size(), layers.size() * kv_heads * context, kPairs);
  return select([&](int64_t l, int64_t h, int64_t entries) {
    const auto keep = mask.subspan((l * kv_heads + h) * context, context);
    return all_kept(keep) ? all_entries(entries) : kept_entries({sink, context, entries}, keep);
  });
}

void KvCache::extend(std::span<const std::unique_ptr<KvLayer>> tail, int64_t tokens) {
  if (tail.size() != layers.size()) throw Error("a turn has as many layers as its cache");
  for (const auto& layer : layers) layer->reserve(tokens);  // what may fail comes before anything is changed
  for (size_t l = 0; l < layers.size(); ++l) {
    // What the next token cannot see any more goes now and not after the turn: so the turn itself can be rewound.
    for (int64_t h = 0; h < kv_heads; ++h) {
      const Window window = layers[l]->window(h);
      const int64_t entries = layers[l]->length(h);
      if (window.recent > 0 && entries > window.sink + window.recent) layers[l]->retain(h, streaming_entries(entries, window));
    }
    layers[l]->extend(*tail[l]);
  }
  turn_start = position;
  position += tokens;
}

void KvCache::rewind(int64_t to) {
  if (to < turn_start || to > position) throw Error("a cache can be rewound to a position of its last turn only");
  for (const auto& layer : layers)
    for (int64_t h = 0; h < kv_heads; ++h) layer->truncate(h, layer->length(h) - (position - to));
  position = to;
}

}  // namespace headzip
