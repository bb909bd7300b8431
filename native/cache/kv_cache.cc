#include "kv_cache.h"

#include <algorithm>

#include "../error.h"

namespace headzip {

void KvCache::copy_facts(KvCache& to) const {
  to.scored = scored;
  to.ropes = ropes;
  to.max_positions = max_positions;
  to.windows = windows;
  to.kv_heads = kv_heads;
  to.sink = sink;
  to.context = context;
  to.last_logits = last_logits;
}

std::unique_ptr<KvCache> KvCache::clone() const {
  auto copy = std::make_unique<KvCache>();
  for (const auto& layer : layers) copy->layers.push_back(layer->clone());
  copy_facts(*copy);
  copy->position = position;
  copy->turn_start = turn_start;
  copy->evicted = evicted;
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

bool KvCache::gapped() const {
  for (size_t l = 0; l < layers.size(); ++l)
    for (int64_t h = 0; h < kv_heads && windows[l] > 0; ++h) {
      const int64_t last = layers[l]->length(h) - 1;
      if (last > 0 && layers[l]->place(h, last) - layers[l]->place(h, 0) != last) return true;
    }
  return false;
}

Window streaming_window(Window window, int64_t sink) { return {std::max(window.sink, sink), window.recent}; }

void KvCache::check_unpruned() const {
  if (evicted) throw Error("this cache has been pruned already; prefill the context again, or prefill it with kind retain");
}

namespace {

void check_size(size_t have, size_t want, const char* what) {
  if (have != want) throw Error(what);
}
constexpr const char* kHeads = "the mask of heads does not have scored layers x kv_heads entries";
constexpr const char* kPairs = "the mask of pairs does not have scored layers x kv_heads x context entries";

bool all_kept(std::span<const uint8_t> keep) {
  return std::all_of(keep.begin(), keep.end(), [](uint8_t bit) { return bit != 0; });
}

}  // namespace

void KvCache::retain_heads(std::span<const uint8_t> mask, Window window) {
  check_size(mask.size(), scored.size() * kv_heads, kHeads);
  check_unpruned();
  evicted = true;
  const Window streaming = streaming_window(window, sink);
  for (size_t row = 0; row < scored.size(); ++row)
    for (int64_t h = 0; h < kv_heads; ++h) {
      if (mask[row * kv_heads + h] != 0) continue;
      KvLayer& layer = *layers[scored[row]];
      const int64_t entries = layer.length(h);
      if (window.recent == 0) {
        layer.retain(h, kept_entries(layer, h, {sink, context, entries}, {}));
      } else {
        layer.set_window(h, streaming);
        layer.retain(h, streaming_entries(entries, streaming));
      }
    }
}

void KvCache::retain_pairs(std::span<const uint8_t> mask) {
  check_size(mask.size(), scored.size() * kv_heads * context, kPairs);
  check_unpruned();
  evicted = true;
  for (size_t row = 0; row < scored.size(); ++row)
    for (int64_t h = 0; h < kv_heads; ++h) {
      const auto keep = mask.subspan((row * kv_heads + h) * context, context);
      KvLayer& layer = *layers[scored[row]];
      if (!all_kept(keep)) layer.retain(h, kept_entries(layer, h, {sink, context, layer.length(h)}, keep));
    }
}

template <typename Choose>
std::unique_ptr<KvCache> KvCache::select(Choose&& choose) const {
  check_unpruned();
  auto copy = std::make_unique<KvCache>();
  copy_facts(*copy);
  const int64_t since = position - sink - context;
  std::vector<int64_t> row_of(layers.size(), -1);
  for (size_t row = 0; row < scored.size(); ++row) row_of[scored[row]] = static_cast<int64_t>(row);
  for (size_t l = 0; l < layers.size(); ++l) {
    const KvLayer& layer = *layers[l];
    std::vector<std::vector<int64_t>> index;
    for (int64_t h = 0; h < kv_heads; ++h) {
      const int64_t entries = layer.length(h) - since;
      if (since > 0 && windows[l] > 0 && entries < std::min(windows[l] - 1, sink + context))
        throw Error("sliding layers have lost what they held after the prefill, since a conversation was kept; prefill the context again");
      index.push_back(row_of[l] < 0 ? all_entries(entries) : choose(layer, row_of[l], h, entries));
    }
    copy->layers.push_back(layer.gather(index, sink + context));
  }
  copy->position = copy->turn_start = sink + context;
  copy->evicted = true;
  return copy;
}

std::unique_ptr<KvCache> KvCache::select_heads(std::span<const uint8_t> mask, Window window) const {
  check_size(mask.size(), scored.size() * kv_heads, kHeads);
  const Window streaming = streaming_window(window, sink);
  auto copy = select([&](const KvLayer& layer, int64_t row, int64_t h, int64_t entries) {
    if (mask[row * kv_heads + h] != 0) return all_entries(entries);
    return window.recent == 0 ? kept_entries(layer, h, {sink, context, entries}, {}) : streaming_entries(entries, streaming);
  });
  for (size_t i = 0; i < mask.size() && window.recent > 0; ++i)
    if (mask[i] == 0) copy->layers[scored[i / kv_heads]]->set_window(static_cast<int64_t>(i) % kv_heads, streaming);
  return copy;
}

std::unique_ptr<KvCache> KvCache::select_pairs(std::span<const uint8_t> mask) const {
  check_size(mask.size(), scored.size() * kv_heads * context, kPairs);
  return select([&](const KvLayer& layer, int64_t row, int64_t h, int64_t entries) {
    const auto keep = mask.subspan((row * kv_heads + h) * context, context);
    return all_kept(keep) ? all_entries(entries) : kept_entries(layer, h, {sink, context, entries}, keep);
  });
}

void KvCache::extend(std::span<const std::unique_ptr<KvLayer>> tail, int64_t tokens) {
  if (tail.size() != layers.size()) throw Error("a turn has as many layers as its cache");
  for (const auto& layer : layers) layer->reserve(tokens);  // what may fail comes before anything is changed
  for (size_t l = 0; l < layers.size(); ++l) {
    // What the next token cannot see any more goes now and not after the turn: so the turn itself can be rewound.
    for (int64_t h = 0; h < kv_heads; ++h) {
      if (windows[l] > 0) forget_before(*layers[l], h, position - windows[l] + 1);
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
