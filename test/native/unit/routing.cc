// Routing of rows to experts, against a plain softmax and a full sort.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "layer/moe.h"
#include "unit.h"

namespace headzip::test {

namespace {

// What row `row` should give each expert; 0: nothing.
std::vector<double> shares(const float* logits, const MoeSpec& spec) {
  const auto experts = static_cast<size_t>(spec.experts);
  std::vector<double> p(experts), out(experts, 0);
  const double top = *std::max_element(logits, logits + experts);
  double all = 0, kept = 0;
  for (size_t e = 0; e < experts; ++e) all += p[e] = std::exp(logits[e] - top);
  std::vector<size_t> order(experts);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  order.resize(static_cast<size_t>(spec.per_token));
  for (const size_t e : order) kept += p[e];
  for (const size_t e : order) out[e] = p[e] / (spec.normalise ? kept : all);
  return out;
}

void routed(const std::vector<float>& logits, const MoeSpec& spec, const std::string& what) {
  const auto experts = static_cast<size_t>(spec.experts), rows = logits.size() / experts;
  const std::vector<ExpertRows> out = route(logits, spec);
  expect(out.size() == experts, what + ": an entry an expert");
  std::vector<double> got(logits.size(), 0);
  bool well_formed = true;
  size_t count = 0;
  for (size_t e = 0; e < out.size(); ++e) {
    well_formed &= out[e].rows.size() == out[e].weights.size() && std::is_sorted(out[e].rows.begin(), out[e].rows.end()) &&
                   std::adjacent_find(out[e].rows.begin(), out[e].rows.end()) == out[e].rows.end();
    count += out[e].rows.size();
    for (size_t i = 0; i < out[e].rows.size(); ++i) got[static_cast<size_t>(out[e].rows[i]) * experts + e] = out[e].weights[i];
  }
  expect(well_formed && count == rows * static_cast<size_t>(spec.per_token),
         what + ": every row goes to as many experts, once each");
  for (size_t row = 0; row < rows; ++row) {
    const std::vector<double> want = shares(logits.data() + row * experts, spec);
    double sum = 0;
    bool right = true;
    for (size_t e = 0; e < experts; ++e) {
      const double value = got[row * experts + e];
      sum += value;
      // An exponential in fp32 whose argument is rounded, and a quotient.
      const double size = 1 + std::abs(logits[row * experts + e]) + std::abs(*std::max_element(logits.begin(), logits.end()));
      right &= (want[e] == 0) == (value == 0) && std::abs(value - want[e]) <= 0x1p-22 * size * want[e];
    }
    expect(right, what + ": row " + std::to_string(row) + " has the shares of a softmax");
    expect(!spec.normalise || std::abs(sum - 1) < 1e-6, what + ": shares add up to 1 where they are made to");
  }
}

}  // namespace

void routing_tests() {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 2);
  for (const bool normalise : {false, true})
    for (const auto& [experts, per_token] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {4, 1}, {8, 2}, {60, 4}, {128, 8}, {5, 5}}) {
      const MoeSpec spec{.experts = experts, .per_token = per_token, .normalise = normalise};
      for (const size_t rows : {size_t{0}, size_t{1}, size_t{17}, size_t{65}}) {
        std::vector<float> logits(rows * static_cast<size_t>(experts));
        for (float& each : logits) each = normal(random);
        routed(logits, spec, std::to_string(per_token) + " of " + std::to_string(experts) + " experts");
      }
    }
  const MoeSpec two{.experts = 4, .per_token = 2, .normalise = true};
  routed({1, 3, 3, 3}, two, "a tie goes to the lower index");
  routed({0, 0, 0, 0}, two, "all alike");
  routed({80, -80, 79, 0}, two, "far apart");
  routed({1e4f, 1e4f, -1e4f, 0}, two, "logits that no exponential holds");
  const std::vector<ExpertRows> tied = route({1, 3, 3, 3}, two);
  expect(tied[1].rows.size() == 1 && tied[2].rows.size() == 1 && tied[3].rows.empty(),
         "of three alike the first two are chosen");
}

}  // namespace headzip::test
