#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../error.h"
#include "../finite.h"

namespace headzip {

void check_sampling(const Sampling& s) {
  if (!(s.temperature >= 0) || !std::isfinite(s.temperature)) throw Error("the temperature must be a number of at least 0");
  if (s.top_k < 0) throw Error("top_k must not be negative");
  if (!(s.top_p > 0 && s.top_p <= 1)) throw Error("top_p must be a number in (0, 1]");
}

namespace {

void check_logits(std::span<const float> logits) {
  if (logits.empty()) throw Error("there are no logits to choose a token by");
  if (!all_finite(logits)) throw NotFinite();
}

}  // namespace

float log_probability(std::span<const float> logits, int32_t id) {
  check_logits(logits);
  if (id < 0 || static_cast<size_t>(id) >= logits.size())
    throw Error("there are " + std::to_string(logits.size()) + " logits, none of them of the token id " + std::to_string(id));
  const double peak = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp(logit - peak);
  const double share = logits[id] - peak - std::log(total);
  return static_cast<float>(std::max<double>(share, std::numeric_limits<float>::lowest()));
}

Sampler::Sampler(const Sampling& sampling) : sampling_(sampling) { check_sampling(sampling); }

// SplitMix64 (Steele, Lea and Flood 2014), its state stepped to the n-th number: 53 bits in [0, 1).
double Sampler::uniform() {
  uint64_t z = sampling_.seed + ++drawn_ * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

int32_t Sampler::pick(const Argmax& argmax) const {
  if (!std::isfinite(argmax.value)) throw NotFinite();
  return argmax.index;
}

int32_t Sampler::pick(std::span<const float> logits) {
  check_logits(logits);
  const auto best = std::max_element(logits.begin(), logits.end());
  if (greedy()) return static_cast<int32_t>(best - logits.begin());

  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - *best) / sampling_.temperature);
    candidates_[i] = {weight, static_cast<int32_t>(i)};
  }
  // By logits: a high temperature makes unequal ones equal weights.
  const auto better = [&](const Candidate& a, const Candidate& b) {
    const float x = logits[static_cast<size_t>(a.id)], y = logits[static_cast<size_t>(b.id)];
    return x != y ? x > y : a.id < b.id;
  };
  auto end = candidates_.end();
  if (sampling_.top_k > 0 && sampling_.top_k < static_cast<int64_t>(candidates_.size())) {
    end = candidates_.begin() + sampling_.top_k;
    std::nth_element(candidates_.begin(), end - 1, candidates_.end(), better);
  }
  if (sampling_.top_p < 1 || sampling_.top_k > 0) std::sort(candidates_.begin(), end, better);
  double total = 0;
  for (auto c = candidates_.begin(); c != end; ++c) total += c->weight;
  if (sampling_.top_p < 1) {
    const double share = sampling_.top_p * total;
    // The best one stays, however small the share is.
    auto c = candidates_.begin();
    double held = (c++)->weight;
    while (c != end && held < share) held += (c++)->weight;
    end = c;
    total = held;
  }
  double left = uniform() * total;
  for (auto c = candidates_.begin(); c != end; ++c) {
    left -= c->weight;
    if (left < 0) return c->id;
  }
  return (end - 1)->id;  // rounding left a crumb
}

}  // namespace headzip
