// The sampler by itself, and the door of every backend's embed(): run under the address and undefined-behaviour sanitizers
// by programs.test.ts.
#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "check.h"
#include "error.h"

using namespace headzip;
using test::expect;
using test::refused;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max(), kLeast = std::numeric_limits<float>::denorm_min();
constexpr const char* kSentence = "gave a value that is not a finite number; its weights are damaged or overflow";

int checks = 0;

std::string named(const Sampling& s, const char* row) {
  char text[160];
  std::snprintf(text, sizeof text, "%s at temperature %g, top_k %lld, top_p %g", row, s.temperature,
                static_cast<long long>(s.top_k), s.top_p);
  return text;
}

std::vector<Sampling> every_sampling() {
  std::vector<Sampling> all;
  for (const double temperature : {0.0, 5e-324, 1e-300, 1e-3, 1.0, 100.0, 1e300, std::numeric_limits<double>::max()})
    for (const int64_t top_k : {int64_t{0}, int64_t{1}, int64_t{3}, std::numeric_limits<int64_t>::max()})
      for (const double top_p : {5e-324, 1e-9, 0.5, 0.9, 1 - 1e-16, 1.0})
        for (const uint64_t seed : {uint64_t{0}, uint64_t{7}, ~uint64_t{0}}) all.push_back({temperature, top_k, top_p, seed});
  return all;
}

// Rows lie in blocks of their own size, so that a read or an id outside is seen.
void picks_are_of_the_row() {
  const std::vector<std::pair<const char*, std::vector<float>>> rows{
      {"one logit", {3}},
      {"two alike", {1, 1}},
      {"a clear best", {0, 9, 1, -4, 2}},
      {"zeros of both signs", {0.0f, -0.0f, 0.0f}},
      {"the largest and the lowest numbers", {kLargest, -kLargest, kLargest, 0, kLeast, -kLeast}},
      {"all lowest", {-kLargest, -kLargest}},
      {"a thousand alike", std::vector<float>(1000, 0.5f)},
  };
  for (const auto& [name, row] : rows)
    for (const Sampling& s : every_sampling()) {
      Sampler sampler(s);
      for (int round = 0; round < 3; ++round, ++checks) {
        const int32_t id = sampler.pick(row);
        expect(id >= 0 && static_cast<size_t>(id) < row.size(), named(s, name) + " gives an id of its row");
        if (s.temperature == 0 || s.top_k == 1 || s.top_p <= 1e-9)
          expect(id == std::max_element(row.begin(), row.end()) - row.begin(), named(s, name) + " gives the first of the best");
      }
    }
}

void numbers_that_are_none() {
  for (const float bad : {kNan, -kNan, kInf, -kInf})
    for (const size_t size : {size_t{1}, size_t{2}, size_t{51}})
      for (size_t at = 0; at < size; at += std::max<size_t>(1, size / 3)) {
        std::vector<float> row(size, 0.25f);
        row[at] = bad;
        for (const Sampling& s : every_sampling()) {
          ++checks;
          refused<NotFinite>([&] { Sampler(s).pick(row); }, kSentence, named(s, "a row with a value that is no number"));
        }
        refused<NotFinite>([&] { log_probability(row, 0); }, kSentence, "the probability under such a row");
        refused<NotFinite>([&] { Sampler({}).pick(Argmax{0, bad}); }, kSentence, "a best logit that is no number");
      }
  for (const Sampling& s : every_sampling()) {
    ++checks;
    refused<Error>([&] { Sampler(s).pick(std::span<const float>{}); }, "there are no logits to choose a token by",
                   named(s, "an empty row"));
  }
}

void settings_that_make_no_sense() {
  for (const double bad : {-1.0, std::nan(""), static_cast<double>(kInf)})
    refused<Error>([&] { Sampler({bad, 0, 1, 0}); }, "the temperature must be a number of at least 0", "a temperature");
  for (const double bad : {0.0, -0.5, 1.5, std::nan("")})
    refused<Error>([&] { Sampler({1, 0, bad, 0}); }, "top_p must be a number in (0, 1]", "a top_p");
  refused<Error>([&] { Sampler({1, -1, 1, 0}); }, "top_k must not be negative", "a top_k");
  checks += 8;
}

void probabilities() {
  const std::vector<float> row{0, 1, 2};
  for (const int32_t bad : {-1, 3, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()})
    refused<Error>([&] { log_probability(row, bad); }, "none of them of the token id " + std::to_string(bad),
                   "an id without a logit");
  refused<Error>([&] { log_probability({}, 0); }, "there are no logits to choose a token by", "no logits");
  double total = 0;
  for (int32_t id = 0; id < 3; ++id) total += std::exp(log_probability(row, id));
  expect(std::abs(total - 1) < 1e-6, "probabilities add up to 1");
  expect(std::isfinite(log_probability(std::vector{kLargest, -kLargest}, 1)), "the least probable token has a logarithm");
  checks += 7;
}

void draws_keep_to_their_share() {
  const std::vector<float> row{2, 1, 0, -1, -2};
  const auto drawn = [&](const Sampling& s) {
    std::set<int32_t> ids;
    Sampler sampler(s);
    for (int draw = 0; draw < 500; ++draw) ids.insert(sampler.pick(row));
    return ids;
  };
  expect(drawn({1, 0, 0.5, 1}) == std::set<int32_t>{0}, "the best holds more than half");
  expect(drawn({1, 0, 0.8, 1}) == std::set<int32_t>{0, 1}, "the two best hold 0.8");
  expect(drawn({1, 2, 1, 1}) == std::set<int32_t>{0, 1}, "two of five are drawn from");
  expect(drawn({5, 0, 1, 1}).size() == 5, "all are drawn from");
  checks += 4;
}

// Embeds by writing down that it was asked to: what it is asked must be in the table.
struct Embedder final : Backend {
  int asked = 0;
  void embed_rows(const Weight&, std::span<const int32_t>, float, Rows) override { ++asked; }
  const char* name() const override { return "embedder"; }
  OwnedRows rows(int64_t, int64_t) override { return {}; }
  std::unique_ptr<KvLayer> kv(int64_t, int64_t, int64_t) override { return nullptr; }
  ScoreBuffer scores(int64_t, int64_t) override { return {}; }
  void clear(const ScoreBuffer&) override {}
  void download(const ScoreBuffer&, float*) override {}
  Element element() const override { return Element::kF32; }
  int64_t tile_rows(const ModelSpec&) const override { return 1; }
  void rms_norm(Rows, const Weight&, const NormParams&, Rows) override {}
  void linear(Rows, std::span<const LinearParams>) override {}
  void rope(Rows, int64_t, const RopeRef&, int64_t) override {}
  void append(KvLayer&, Rows, Rows) override {}
  void attention(const AttentionSpec&, std::span<const AttentionParams>) override {}
  void act_and_mul(Activation, Rows, Rows) override {}
  void gather(Rows, std::span<const int32_t>, Rows) override {}
  void scatter_add(Rows, std::span<const int32_t>, std::span<const float>, Rows) override {}
  void download(Rows, float*) override {}
  std::vector<Argmax> argmax(Rows) override { return {}; }
  bool finite(Rows) override { return true; }
  size_t allocated_bytes() const override { return 0; }
  size_t peak_bytes() const override { return 0; }
  void reset_peak() override {}
};

void ids_are_checked_before_any_backend_sees_them() {
  Embedder backend;
  const Weight table{nullptr, StoredType::kF32, 51, 24};
  const auto embed = [&](std::vector<int32_t> ids) { backend.embed(table, ids, 1, {}); };
  for (const int32_t bad : {-1, 51, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()})
    refused<Error>([&] {
      embed({3, bad, 4});
    }, "the token id " + std::to_string(bad) + " cannot be embedded: the model's vocabulary has 51 entries", "an id");
  expect(backend.asked == 0, "nothing was embedded");
  embed({0, 50});
  embed({});
  expect(backend.asked == 2, "what is in the table is embedded");
  checks += 6;
}

}  // namespace

int main() {
  picks_are_of_the_row();
  numbers_that_are_none();
  settings_that_make_no_sense();
  probabilities();
  draws_keep_to_their_share();
  ids_are_checked_before_any_backend_sees_them();
  return test::report(checks);
}
