#include "kv_cache.h"

#include <algorithm>
#include <string>

#include "../error.h"

namespace headzip {

void KvCache::copy_facts(KvCache& to) const {
  to.scored = scored;
  to.ropes = ropes;
  to.max_positions = max_positions;
  to.prefix = prefix;
  to.context = context;
  to.last_logits = last_logits;
}

KvLayer& KvCache::kv(int64_t layer) const {
  KvLayer* found = layers.at(static_cast<size_t>(layer))->kv();
  if (found == nullptr) throw Error("layer " + std::to_string(layer) + " keeps no keys and values");
  return *found;
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
  for (int64_t l = 0; l < layer_count(); ++l)
    for (int64_t h = 0; h < kv(l).heads(); ++h) all.push_back(kv(l).length(h));
  return all;
}

int64_t KvCache::scored_heads() const {
  int64_t heads = 0;
  for (const int64_t l : scored) heads += kv(l).heads();
  return heads;
}

void KvCache::check_unpruned() const {
  if (evicted) throw Error("this cache has been pruned already; prefill the context again, or prefill it with kind retain");
}

void KvCache::check_mask(size_t entries, int64_t a_head, const char* what) const {
  if (static_cast<int64_t>(entries) != scored_heads() * a_head) throw Error(std::string("the mask of ") + what);
  check_unpruned();
}

namespace {

constexpr const char* kHeads = "heads does not have as many entries as the scored layers have KV heads";
constexpr const char* kPairs = "pairs does not have as many entries as the scored layers have KV heads, times the context";

bool all_kept(std::span<const uint8_t> keep) {
  return std::all_of(keep.begin(), keep.end(), [](uint8_t bit) { return bit != 0; });
}

// A streaming head's sink covers the system prefix.
Window streaming(Window window, int64_t prefix) { return {std::max(window.sink, prefix), window.recent}; }

}  // namespace

void KvCache::evict_head(KvLayer& layer, int64_t head, Window window) const {
  const int64_t entries = layer.length(head);
  if (window.recent == 0) return layer.retain(head, kept_entries(layer, head, entries, {prefix, context}, {}));
  layer.set_window(head, streaming(window, prefix));
  layer.retain(head, streaming_entries(layer, head, entries, streaming(window, prefix), position));
}

void KvCache::retain_heads(std::span<const uint8_t> mask, Window window) {
  check_mask(mask.size(), 1, kHeads);
  evicted = true;
  size_t row = 0;
  for (const int64_t l : scored)
    for (int64_t h = 0; h < kv(l).heads(); ++h)
      if (mask[row++] == 0) evict_head(kv(l), h, window);
}

void KvCache::retain_pairs(std::span<const uint8_t> mask) {
  check_mask(mask.size(), context, kPairs);
  evicted = true;
  size_t row = 0;
  for (const int64_t l : scored)
    for (int64_t h = 0; h < kv(l).heads(); ++h) {
      const auto keep = mask.subspan(row++ * context, context);
      KvLayer& layer = kv(l);
      if (!all_kept(keep)) layer.retain(h, kept_entries(layer, h, layer.length(h), {prefix, context}, keep));
    }
}

// choose(row of the mask: one a scored head, layer, head, entries of the prefill) -> what is kept.
template <typename Choose>
std::unique_ptr<KvCache> KvCache::select(Choose&& choose) const {
  auto copy = std::make_unique<KvCache>();
  const int64_t since = position - prefix - context;
  size_t row = 0;
  for (int64_t l = 0; l < layer_count(); ++l) {
    const bool evictable = std::binary_search(scored.begin(), scored.end(), l);
    std::vector<std::vector<int64_t>> index;
    for (int64_t h = 0; h < kv(l).heads(); ++h) {
      // Before it was pruned a layer only ever lost its oldest entries, and a kept conversation took some of the prefill's.
      if (since > 0 && (kv(l).length(h) == 0 || kv(l).position(h, 0) > 0))
        throw Error("sliding layers lost entries of the context to a kept conversation; prefill the context again");
      const int64_t entries = kv(l).length(h) - since;
      index.push_back(evictable ? choose(row++, kv(l), h, entries) : all_entries(entries));
    }
    copy->layers.push_back(kv(l).gather(index, prefix + context));
  }
  copy_facts(*copy);
  copy->position = copy->turn_start = prefix + context;
  copy->evicted = true;
  return copy;
}

std::unique_ptr<KvCache> KvCache::select_heads(std::span<const uint8_t> mask, Window window) const {
  check_mask(mask.size(), 1, kHeads);
  auto copy = select([&](size_t row, const KvLayer& layer, int64_t h, int64_t entries) {
    if (mask[row] != 0) return all_entries(entries);
    return window.recent == 0 ? kept_entries(layer, h, entries, {prefix, context}, {})
                              : streaming_entries(layer, h, entries, streaming(window, prefix), prefix + context);
  });
  if (window.recent == 0) return copy;
  size_t row = 0;
  for (const int64_t l : scored)
    for (int64_t h = 0; h < kv(l).heads(); ++h)
      if (mask[row++] == 0) copy->kv(l).set_window(h, streaming(window, prefix));
  return copy;
}

std::unique_ptr<KvCache> KvCache::select_pairs(std::span<const uint8_t> mask) const {
  check_mask(mask.size(), context, kPairs);
  return select([&](size_t row, const KvLayer& layer, int64_t h, int64_t entries) {
    const auto keep = mask.subspan(row * context, context);
    return all_kept(keep) ? all_entries(entries) : kept_entries(layer, h, entries, {prefix, context}, keep);
  });
}

// Forgets what a query at `position` and later cannot see.
void KvCache::trim(std::span<const int64_t> windows) {
  for (int64_t l = 0; l < layer_count(); ++l)
    for (int64_t h = 0; h < kv(l).heads(); ++h) {
      const Window window = kv(l).window(h);
      const auto seen = streaming_entries(kv(l), h, kv(l).length(h), window, position);
      if (window.recent > 0 && static_cast<int64_t>(seen.size()) < kv(l).length(h)) kv(l).retain(h, seen);
      if (windows[static_cast<size_t>(l)] > 0) forget_before(kv(l), h, position - windows[static_cast<size_t>(l)] + 1);
    }
}

void KvCache::extend(std::span<const std::unique_ptr<KvLayer>> tail, int64_t tokens, std::span<const int64_t> windows,
                     bool rewindable) {
  if (tail.size() != layers.size() || windows.size() != layers.size()) throw Error("a turn has as many layers as its cache");
  trim(windows);
  for (int64_t l = 0; l < layer_count(); ++l) kv(l).reserve(tokens);  // what may fail comes before anything is joined
  for (int64_t l = 0; l < layer_count(); ++l) kv(l).extend(*tail[static_cast<size_t>(l)]);
  turn_start = position;
  position += tokens;
  if (rewindable) return;
  turn_start = position;
  trim(windows);
}

void KvCache::rewind(int64_t to) {
  if (to < turn_start || to > position)
    throw Error("a cache can be rewound within its last turn only, and only where that was asked for");
  for (int64_t l = 0; l < layer_count(); ++l)
    for (int64_t h = 0; h < kv(l).heads(); ++h) kv(l).truncate(h, kv(l).length(h) - (position - to));
  position = to;
}

}  // namespace headzip
