#include "evict.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace headzip {

std::vector<int64_t> kept_entries(const KvLayer& layer, int64_t head, int64_t entries, Extent e,
                                  std::span<const uint8_t> keep) {
  std::vector<int64_t> index;
  for (int64_t i = 0; i < entries; ++i) {
    const int64_t at = layer.position(head, i) - e.prefix;
    const bool in_context = at >= 0 && at < e.context;
    if (!in_context || (!keep.empty() && keep[at] != 0)) index.push_back(i);
  }
  return index;
}

std::vector<int64_t> streaming_entries(const KvLayer& layer, int64_t head, int64_t entries, Window window, int64_t next) {
  std::vector<int64_t> index;
  for (int64_t i = 0; i < entries; ++i) {
    const int64_t position = layer.position(head, i);
    if (position < window.sink || position >= next - window.recent) index.push_back(i);
  }
  return index;
}

std::vector<int64_t> all_entries(int64_t entries) {
  std::vector<int64_t> index(static_cast<size_t>(entries));
  std::iota(index.begin(), index.end(), 0);
  return index;
}

void forget_before(KvLayer& layer, int64_t head, int64_t position) {
  const int64_t length = layer.length(head);
  int64_t first = 0;
  while (first < length && layer.position(head, first) < position) ++first;
  if (first == 0) return;
  std::vector<int64_t> index;
  for (int64_t i = first; i < length; ++i) index.push_back(i);
  layer.retain(head, index);
}

void best_entries(std::span<const float> scores, UniformRule rule, std::span<uint8_t> keep) {
  std::fill(keep.begin(), keep.end(), 0);
  const int64_t count = std::min(rule.count, static_cast<int64_t>(scores.size()));
  if (count < 1) return;
  std::vector<float> order(scores.begin(), scores.end());
  std::nth_element(order.begin(), order.begin() + (count - 1), order.end(), std::greater<>());
  const float threshold = order[count - 1];
  int64_t left = count;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > threshold) keep[i] = 1, --left;
  for (size_t i = 0; i < scores.size() && left > 0 && !rule.above; ++i)
    if (scores[i] == threshold) keep[i] = 1, --left;
}

}  // namespace headzip
