#include "group.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace headzip::parity {

namespace {
int failed_groups = 0;
constexpr int kMostTold = 4;  // of a group
}  // namespace

int failures() { return failed_groups; }

void Group::fail(const std::string& what) {
  if (++failed_ <= kMostTold) std::fprintf(stderr, "%s, %s\n", name_.c_str(), what.c_str());
}

void Group::compare(const std::string& what, std::span<const float> got, const Expected& expected) {
  ++cases_;
  if (got.size() != expected.values.size() || got.size() != expected.bounds.size())
    return fail(what + ": " + std::to_string(got.size()) + " values instead of " + std::to_string(expected.values.size()));
  size_t worst = 0;
  double worst_share = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double want = expected.values[i], value = got[i];
    if (value == want || (std::isnan(value) && std::isnan(want))) continue;
    const double error = std::abs(value - want), share = error / expected.bounds[i];
    if (std::isfinite(error)) error_ = std::max(error_, error);
    // A NaN is beyond every bound.
    if (share <= worst_share) continue;
    worst = i, worst_share = std::isnan(share) ? INFINITY : share;
  }
  share_ = std::max(share_, worst_share);
  if (worst_share <= 1) return;
  char text[160];
  std::snprintf(text, sizeof text, ": value %zu of %zu is %.9g, should be %.9g within %.3g", worst, got.size(),
                static_cast<double>(got[worst]), expected.values[worst], expected.bounds[worst]);
  fail(what + text);
}

void Group::same(const std::string& what, std::span<const float> got, std::span<const float> expected) {
  Expected exactly;
  for (const float each : expected) exactly.add(each, 0);
  compare(what, got, exactly);
}

void Group::expect(bool holds, const std::string& what) {
  ++cases_;
  if (!holds) fail("does not hold: " + what);
}

Group::~Group() {
  std::printf("%-42s %4d cases  largest error %.2e, %6.2f%% of its bound  %s\n", name_.c_str(), cases_, error_, 100 * share_,
              failed_ == 0 && cases_ > 0 ? "ok" : "FAILED");
  std::fflush(stdout);
  failed_groups += failed_ > 0 || cases_ == 0;
}

}  // namespace headzip::parity
