#include "summary.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "../error.h"

namespace headzip {

void summarise(std::span<const float> scores, int64_t heads, int64_t layer, std::vector<float>& max, std::vector<float>& mean,
               std::vector<float>& p99) {
  const size_t positions = scores.size() / static_cast<size_t>(heads);
  std::vector<float> head(positions);
  for (int64_t h = 0; h < heads; ++h) {
    std::copy_n(scores.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(h) * positions), positions, head.begin());
    double sum = 0;
    for (const float s : head) sum += s;
    if (!std::isfinite(sum)) throw NotFinite("layer " + std::to_string(layer) + ", KV head " + std::to_string(h));
    const auto rank = static_cast<std::ptrdiff_t>(std::ceil(0.99 * static_cast<double>(positions))) - 1;
    std::nth_element(head.begin(), head.begin() + rank, head.end());
    p99.push_back(head[rank]);
    max.push_back(*std::max_element(head.begin() + rank, head.end()));
    mean.push_back(static_cast<float>(sum / static_cast<double>(positions)));
  }
}

}  // namespace headzip
