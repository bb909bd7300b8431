#include "moe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace headzip {

std::vector<ExpertRows> route(const std::vector<float>& logits, const MoeSpec& spec) {
  const auto experts = static_cast<size_t>(spec.experts), chosen = static_cast<size_t>(spec.per_token);
  std::vector<ExpertRows> out(experts);
  std::vector<int32_t> order(experts);
  std::vector<float> share(experts);
  for (size_t row = 0; row * experts < logits.size(); ++row) {
    const float* z = logits.data() + row * experts;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(chosen), order.end(),
                      [z](int32_t a, int32_t b) { return z[a] != z[b] ? z[a] > z[b] : a < b; });
    double all = 0, kept = 0;
    for (size_t e = 0; e < experts; ++e) all += share[e] = std::exp(z[e] - z[order[0]]);
    for (size_t i = 0; i < chosen; ++i) kept += share[order[i]];
    for (size_t i = 0; i < chosen; ++i) {
      ExpertRows& to = out[order[i]];
      to.rows.push_back(static_cast<int32_t>(row));
      to.weights.push_back(static_cast<float>(share[order[i]] / (spec.normalise ? kept : all)));
    }
  }
  return out;
}

}  // namespace headzip
