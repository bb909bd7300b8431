// rms_norm() and row norms.
#include <cmath>

#include "group.h"

namespace headzip::parity {

namespace {

// Squares are summed in runs of at most 64 before they meet a longer type or a tree, so the mean is within 80 roundings
// of its own (the tree's and its division's among them), its root within 40; three products and a quotient follow.
constexpr double kRoundings = 48;

struct Case {
  int64_t rows, width;
  NormParams params;
  bool stream, in_place;
};

void norm_case(Rig& rig, Group& group, const Case& c) {
  const std::vector<float> x = rig.random(c.rows * c.width, 3), w = rig.random(c.width), before = rig.random(c.rows * c.width);
  const OwnedRows input = c.stream ? rig.stream(x, c.rows) : rig.rows(x, c.rows);
  const OwnedRows other = c.params.add ? rig.stream(before, c.rows) : rig.rows(before, c.rows);
  const Rows out = c.in_place ? static_cast<const Rows&>(input) : static_cast<const Rows&>(other);
  Expected expected;
  for (int64_t i = 0; i < c.rows; ++i) {
    double squares = 0;
    for (int64_t k = 0; k < c.width; ++k) squares += std::pow(x[static_cast<size_t>(i * c.width + k)], 2);
    for (int64_t k = 0; k < c.width; ++k) {
      const auto at = static_cast<size_t>(i * c.width + k);
      const double factor = static_cast<double>(c.params.offset) + w[static_cast<size_t>(k)];
      double value = x[at] / std::sqrt(squares / static_cast<double>(c.width) + c.params.eps) * factor;
      // An offset that takes most of a weight away leaves its rounding.
      double bound = kRoundings * rig.eps.sum * std::abs(value);
      if (c.params.add)
        value += before[at], bound += rig.eps.sum * (std::abs(value) + std::abs(static_cast<double>(before[at])));
      expected.add(value, bound + rig.rounding(out) * std::abs(value));
    }
  }
  rig.backend.rms_norm(input, rig.weight(w, c.width, 1), c.params, out);
  group.compare(std::to_string(c.rows) + " rows of " + std::to_string(c.width) + (c.params.add ? ", add" : "") +
                    (c.in_place ? ", in place" : ""),
                rig.values(out), expected);
}

}  // namespace

void norm_cases(Rig& rig) {
  Group group("rms_norm");
  for (const int64_t width : {4, 20, 64, 100, 1030, 4100})
    for (const int64_t rows : {1, 3, 17, 65})
      for (const float offset : {0.0f, 1.0f})
        for (const bool stream : {false, true})
          for (const int way : {0, 1, 2}) {
            if (way == 1 && stream) continue;  // a norm in place is of single heads, never of the stream
            norm_case(rig, group, {rows, (width + 3) / 4 * 4, {1e-6f, offset, way == 2}, stream, way == 1});
          }
}

void score_weight_cases(Rig& rig) {
  if (!rig.backend.weighs_scores()) return;
  Group rows("row_norms");
  for (const int64_t count : {1, 17, 65}) {
    const int64_t width = 131;
    std::vector<float> x = rig.random(count * width);
    std::fill_n(x.begin(), width, 0.0f);  // a row without a direction
    const ScoreBuffer out = rig.backend.scores(1, count);
    Expected expected;
    for (int64_t i = 0; i < count; ++i) {
      double squares = 0;
      for (int64_t k = 0; k < width; ++k) squares += std::pow(x[static_cast<size_t>(i * width + k)], 2);
      const double norm = i == 0 ? INFINITY : 0.5 * std::log2(squares);
      expected.add(norm, rig.eps.sum * std::abs(norm));
    }
    rig.backend.row_norms(rig.stream(x, count), out);
    rows.compare(std::to_string(count) + " rows", rig.values(out), expected);
  }

  // Each projected number is within (head_dim + 2) roundings of the sum of its terms' sizes, so their norm is within the
  // norm of that, and its logarithm within the quotient of both.
  Group values("value_norms");
  for (const int64_t head_dim : {16, 80, 96, 256})
    for (const int64_t group_size : {1, 3, 8})
      for (const StoredType type : {StoredType::kF32, StoredType::kBF16, StoredType::kQ4_0, StoredType::kQ6_K}) {
        const int64_t kv_heads = 2, heads = kv_heads * group_size, cols = heads * head_dim, hidden = 37, entries = 65,
                      begin = 3;
        if (cols % block_of(type).elements != 0) continue;
        const auto kv = rig.kv(kv_heads, head_dim, entries);
        const Encoded encoded = random_weight(type, hidden, cols, [&](int64_t end) { return rig.below(end); });
        const ScoreBuffer out = rig.backend.scores(heads, entries);
        Expected expected;
        for (int64_t h = 0; h < heads; ++h) {
          const HeadValues head = read_head(*kv, h / group_size);
          for (int64_t e = 0; e < entries; ++e) {
            double squares = 0, off = 0;
            for (int64_t r = 0; r < hidden && e >= begin; ++r) {
              double sum = 0, size = 0;
              for (int64_t d = 0; d < head_dim; ++d) {
                const double term = encoded.values[static_cast<size_t>(r * cols + h * head_dim + d)] *
                                    head.v[static_cast<size_t>(e * head_dim + d)];
                sum += term, size += std::abs(term);
              }
              squares += sum * sum, off += std::pow(static_cast<double>(head_dim + 2) * rig.eps.gemm * size, 2);
            }
            if (e < begin) expected.add(0, 0);
            else
              expected.add(0.5 * std::log2(squares),
                           1.5 * std::sqrt(off / squares) + rig.eps.sum * std::abs(0.5 * std::log2(squares)));
          }
        }
        values.expect(rig.backend.value_norms(rig.weight(encoded, hidden, cols), *kv, begin, entries - begin, out),
                      "values are finite");
        values.compare(std::to_string(head_dim) + " wide, groups of " + std::to_string(group_size) + ", " + name_of(type),
                       rig.values(out), expected);
      }
  const auto kv = rig.backend.kv(1, 16, 1);
  std::vector<float> v(16 * 3, 1.0f);
  v[20] = INFINITY;
  rig.backend.append(*kv, rig.rows(std::vector<float>(16 * 3, 1.0f), 3), rig.rows(v, 3));
  const ScoreBuffer out = rig.backend.scores(1, 3);
  const Weight& o = rig.weight(std::vector<float>(16 * 5, 1.0f), 5, 16);
  values.expect(!rig.backend.value_norms(o, *kv, 0, 3, out), "a value that is not finite is told");
  values.expect(rig.backend.value_norms(o, *kv, 2, 1, out), "a value that is not asked for is not looked at");
}

}  // namespace headzip::parity
