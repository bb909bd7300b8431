// Which entries of a head an eviction leaves. A head holds [prefix | context | what came after the prefill].
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "../backend.h"

namespace headzip {

struct Extent {
  int64_t prefix = 0, context = 0;  // tokens prefilled
};

// Of a head's first `entries`: prefix and all that stands after the context; of the context what `keep` (context) says, or
// nothing where it is empty.
std::vector<int64_t> kept_entries(const KvLayer& layer, int64_t head, int64_t entries, Extent extent,
                                  std::span<const uint8_t> keep);
// Those that a streaming head still sees from position `next` on.
std::vector<int64_t> streaming_entries(const KvLayer& layer, int64_t head, int64_t entries, Window window, int64_t next);
std::vector<int64_t> all_entries(int64_t entries);
// Drops the entries of a head that stand before `position`.
void forget_before(KvLayer& layer, int64_t head, int64_t position);

// The same budget in every head: marks the best `count` of a head's scores, ties in the order they lie in; with
// `above`, only those above the count-th best (KVzip's published rule, which keeps none of many equal ones).
struct UniformRule {
  int64_t count = 0;
  bool above = false;
};
void best_entries(std::span<const float> scores, UniformRule rule, std::span<uint8_t> keep);

}  // namespace headzip
