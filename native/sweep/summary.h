// One layer's pair scores, reduced to what is kept of them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace headzip {

// scores (heads, positions); appends each head's maximum, mean and 99th percentile (nearest rank).
// Throws NotFinite where a score is not a finite number.
void summarise(std::span<const float> scores, int64_t heads, int64_t layer, std::vector<float>& max, std::vector<float>& mean,
               std::vector<float>& p99);

}  // namespace headzip
