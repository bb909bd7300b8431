// KV whose every entry says which it is: value 0 of a key is 1000 * head + the position it was appended at.
#pragma once
#include <memory>
#include <numeric>
#include <vector>

#include "backend.h"
#include "kv/kv_cache.h"

namespace headzip::test {

constexpr int64_t kHeads = 2, kHeadDim = 16;

inline void append_marked(Backend& backend, KvLayer& kv, int64_t from, int64_t tokens) {
  const int64_t width = kv.heads() * kHeadDim;
  std::vector<float> values(static_cast<size_t>(tokens * width));
  for (int64_t i = 0; i < tokens; ++i)
    for (int64_t h = 0; h < kv.heads(); ++h)
      values[static_cast<size_t>(i * width + h * kHeadDim)] = static_cast<float>(1000 * h + from + i);
  const Weight table{reinterpret_cast<const std::byte*>(values.data()), StoredType::kF32, tokens, width};
  std::vector<int32_t> ids(static_cast<size_t>(tokens));
  std::iota(ids.begin(), ids.end(), 0);
  const OwnedRows rows = backend.rows(tokens, width);
  backend.embed(table, ids, 1, rows);
  backend.append(kv, rows, rows);
}

// What the keys and the values of a head say that they are, at what positions the index says: all three must agree.
// Empty where they do not.
inline std::vector<int64_t> marks(const KvLayer& kv, int64_t head) {
  const int64_t length = kv.length(head);
  std::vector<float> k(static_cast<size_t>(length * kHeadDim)), v(k.size());
  kv.read(head, 0, length, reinterpret_cast<std::byte*>(k.data()), reinterpret_cast<std::byte*>(v.data()));
  std::vector<int64_t> out;
  for (int64_t i = 0; i < length; ++i) {
    const auto at = static_cast<size_t>(i * kHeadDim);
    const auto mark = static_cast<int64_t>(k[at]) - 1000 * head;
    if (k[at] != v[at] || mark != kv.position(head, i)) return {};
    out.push_back(mark);
  }
  return out;
}

inline std::vector<int64_t> range(int64_t begin, int64_t end) {
  std::vector<int64_t> out(static_cast<size_t>(end > begin ? end - begin : 0));
  std::iota(out.begin(), out.end(), begin);
  return out;
}

inline std::vector<int64_t> join(std::vector<int64_t> a, const std::vector<int64_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// `layers` layers of which `scored` are evicted, prefilled with prefix and context.
inline std::unique_ptr<KvCache> marked_cache(Backend& backend, int64_t layers, std::vector<int64_t> scored, int64_t prefix,
                                             int64_t context) {
  auto cache = std::make_unique<KvCache>();
  for (int64_t l = 0; l < layers; ++l) {
    auto kv = backend.kv(kHeads, kHeadDim, 1);
    append_marked(backend, *kv, 0, prefix + context);
    cache->layers.push_back(std::move(kv));
  }
  cache->scored = std::move(scored);
  cache->max_positions = 500;
  cache->prefix = prefix, cache->context = context;
  cache->position = cache->turn_start = prefix + context;
  cache->last_logits = {1, 2, 3};
  return cache;
}

}  // namespace headzip::test
