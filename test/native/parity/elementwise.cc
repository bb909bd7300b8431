// act_and_mul(), gated_mlp(), gather(), scatter_add(), argmax(), finite().
#include <cmath>
#include <limits>
#include <numeric>

#include "group.h"

namespace headzip::parity {

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

struct Activated {
  double value, bound;
};

// silu: x / (1 + e^-x); the exponent's argument is within |x| roundings twice. gelu is x / (1 + e^-2u) with
// u = sqrt(2 / pi) (x + 0.044715 x^3), 4 roundings; written with tanh it is within tanh's own error of |x|. Exponentials
// past the smallest normal number are lost altogether.
Activated activate(const Rig& rig, Activation activation, double x) {
  constexpr double kLost = 1e-36;
  double argument = -x, roundings = 2;
  if (activation == Activation::kGeluTanh)
    argument = -2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x), roundings = 4;
  const double value = x / (1 + std::exp(argument));
  const double relative = roundings * std::abs(argument) * rig.eps.sum + rig.eps.exp + 4 * rig.eps.sum;
  const double absolute = activation == Activation::kGeluTanh ? rig.eps.tanh * std::abs(x) : 0;
  return {value, relative * std::abs(value) + absolute + kLost};
}

const char* name_of(Activation activation) { return activation == Activation::kSilu ? "silu" : "gelu_tanh"; }

void act_cases(Rig& rig) {
  Group group("act_and_mul");
  for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh})
    for (const float scale : {1.0f, 12.0f, 100.0f})
      for (const int64_t rows : {1, 3, 17, 65}) {
        const int64_t width = rig.size(131);
        const std::vector<float> gate = rig.random(rows * width, scale), up = rig.random(rows * width);
        Expected expected;
        for (size_t i = 0; i < gate.size(); ++i) {
          const Activated a = activate(rig, activation, gate[i]);
          const double value = a.value * up[i];
          expected.add(value, a.bound * std::abs(static_cast<double>(up[i])) +
                                  (rig.eps.output + rig.eps.sum) * std::abs(value) + 1e-38);
        }
        const OwnedRows gates = rig.rows(gate, rows);
        rig.backend.act_and_mul(activation, gates, rig.rows(up, rows));
        group.compare(std::string(name_of(activation)) + ", up to " + std::to_string(scale), rig.values(gates), expected);
      }
}

// The gate's and up's own errors are those of linear(); an activation's slope is at most 1.13.
void gated_mlp_cases(Rig& rig) {
  Group group("gated_mlp");
  for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh})
    for (const int64_t rows : {1, 3, 17, 65})
      for (const bool bias : {false, true}) {
        const int64_t depth = rig.size(100), width = rig.size(75);
        const std::vector<float> x = rig.random(rows * depth);
        const std::vector<float> w[] = {rig.random(width * depth), rig.random(width * depth)},
                                 b[] = {rig.random(width), rig.random(width)};
        const OwnedRows out[] = {rig.rows(rig.random(rows * width), rows), rig.rows(rig.random(rows * width), rows)};
        Expected expected;
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t r = 0; r < width; ++r) {
            double value[2], bound[2];
            for (int side = 0; side < 2; ++side) {
              double sum = bias ? b[side][static_cast<size_t>(r)] : 0, size = std::abs(sum);
              for (int64_t k = 0; k < depth; ++k) {
                const double term =
                    static_cast<double>(w[side][static_cast<size_t>(r * depth + k)]) * x[static_cast<size_t>(i * depth + k)];
                sum += term, size += std::abs(term);
              }
              value[side] = sum,
              bound[side] = static_cast<double>(depth + 1) * rig.eps.gemm * size + rig.eps.output * std::abs(sum);
            }
            const Activated a = activate(rig, activation, value[0]);
            const double product = a.value * value[1], a_bound = a.bound + 1.13 * bound[0];
            expected.add(product, a_bound * (std::abs(value[1]) + bound[1]) + std::abs(a.value) * bound[1] +
                                      (rig.eps.output + rig.eps.sum) * std::abs(product));
          }
        const LinearParams gate{&rig.weight(w[0], width, depth), bias ? &rig.weight(b[0], width, 1) : nullptr, out[0]};
        const LinearParams up{&rig.weight(w[1], width, depth), bias ? &rig.weight(b[1], width, 1) : nullptr, out[1]};
        rig.backend.gated_mlp(activation, rig.rows(x, rows), gate, up);
        group.compare(std::string(name_of(activation)) + ", " + std::to_string(rows) + " rows", rig.values(out[0]), expected);
      }
}

}  // namespace

void mlp_cases(Rig& rig) {
  act_cases(rig);
  gated_mlp_cases(rig);
}

void row_cases(Rig& rig) {
  Group gather("gather"), scatter("scatter_add");
  for (const int64_t rows : {1, 3, 17, 65}) {
    const int64_t width = rig.size(131), count = (rows + 1) / 2;
    const std::vector<float> x = rig.random(rows * width);
    std::vector<int32_t> index(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i)
      index[static_cast<size_t>(i)] = static_cast<int32_t>(2 * (count - 1 - i));  // falling, every other row
    std::vector<float> picked;
    for (const int32_t row : index) picked.insert(picked.end(), x.begin() + row * width, x.begin() + (row + 1) * width);
    const OwnedRows out = rig.backend.rows(count, width);
    rig.backend.gather(rig.rows(x, rows), index, out);
    gather.same(std::to_string(rows) + " rows", rig.values(out), picked);

    const std::vector<float> weights = rig.random(count), before = rig.random(rows * width);
    Expected expected;
    for (const float each : before) expected.add(each, 0);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t c = 0; c < width; ++c) {
        const auto at = static_cast<size_t>(index[static_cast<size_t>(i)] * width + c);
        const double term = static_cast<double>(weights[static_cast<size_t>(i)]) * picked[static_cast<size_t>(i * width + c)];
        expected.values[at] += term;
        expected.bounds[at] = rig.eps.sum * (std::abs(term) + std::abs(expected.values[at]));
      }
    const OwnedRows into = rig.stream(before, rows);
    rig.backend.scatter_add(rig.rows(picked, count), index, weights, into);
    scatter.compare(std::to_string(rows) + " rows", rig.values(into), expected);
  }
}

void argmax_cases(Rig& rig) {
  Group group("argmax");
  for (const int64_t width : {1, 2, 51, 1030, 50257})
    for (const int64_t rows : {1, 3, 17}) {
      std::vector<float> x = rig.random(rows * width);
      std::vector<int64_t> best;
      for (int64_t i = 0; i < rows; ++i) {
        float* row = x.data() + i * width;
        for (int64_t c = 0; c < width; ++c) row[c] -= 2;  // all below zero: a zero would win
        best.push_back(rig.below(width));
        // Ties to the right of the best, near and far.
        for (const int64_t at : {best.back(), std::min(width - 1, best.back() + 1), width - 1}) row[at] = -0.5f;
      }
      const std::vector<Argmax> found = rig.backend.argmax(rig.stream(x, rows));
      group.expect(static_cast<int64_t>(found.size()) == rows, "one answer a row");
      for (int64_t i = 0; i < rows; ++i)
        group.expect(found[static_cast<size_t>(i)].index == best[static_cast<size_t>(i)] &&
                         found[static_cast<size_t>(i)].value == -0.5f,
                     "row " + std::to_string(i) + " of " + std::to_string(width) + ": the first of the best is " +
                         std::to_string(best[static_cast<size_t>(i)]) + ", got " +
                         std::to_string(found[static_cast<size_t>(i)].index));
    }
  group.expect(rig.backend.argmax(rig.stream({-1, -0.0f, 0.0f, -0.0f}, 1))[0].index == 1, "zeros of both signs tie");
  for (const float bad : {kNan, -kNan, kInf, -kInf})
    for (const int64_t at : {0, 700, 1029}) {
      std::vector<float> x = rig.random(2 * 1030);
      x[static_cast<size_t>(1030 + at)] = bad;
      const std::vector<Argmax> found = rig.backend.argmax(rig.stream(x, 2));
      group.expect(std::isfinite(found[0].value) && !std::isfinite(found[1].value),
                   "a row with a value that is no number says so, and only it");
    }
}

// A backend may tell when it waits, and look when the next norm or rope reads the rows.
void finite_cases(Rig& rig) {
  Group group("finite");
  const int64_t width = 132;
  const Weight& ones = rig.weight(std::vector<float>(width, 1.0f), width, 1);
  const auto told = [&](const std::vector<float>& values, bool in_stream) {
    const OwnedRows x = in_stream ? rig.stream(values, 17) : rig.rows(values, 17), out = rig.backend.rows(17, width);
    const bool finite = rig.backend.finite(x);
    rig.backend.rms_norm(x, ones, {1e-6f}, out);
    return !rig.backend.synchronize() || !finite;
  };
  for (const bool in_stream : {false, true}) {
    for (const float bad : {kNan, -kNan, kInf, -kInf})
      for (const int64_t at : {0, 131, 132, 17 * 132 - 1}) {
        std::vector<float> x = rig.random(17 * width);
        x[static_cast<size_t>(at)] = bad;
        group.expect(told(x, in_stream), "value " + std::to_string(at) + " is no number");
      }
    std::vector<float> x = rig.random(17 * width);
    x[5] = 1e18f, x[9] = -1e18f, x[11] = 1e-42f, x[12] = -0.0f;
    group.expect(!told(x, in_stream), "large, tiny and signed zero are numbers");
  }
}

}  // namespace headzip::parity
