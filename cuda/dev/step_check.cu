// GEMVs, argmax and rope_append of a decoding step against plain loops and against the kernels they stand in for.
#include "decode_heads.h"

namespace headzip::cuda::dev {
namespace {

struct GemvCase {
  int rows, in;
  std::vector<int> outs;
  Gate gate = Gate::kNone;
  bool add = false, wide = false, biased = false;
};

int check(const GemvCase& c) {
  const size_t batch = c.outs.size();
  const auto host_x = normal(static_cast<size_t>(c.rows) * c.in, 5);
  const Array<bf16> x(host_x);
  std::vector<std::vector<bf16>> host_w, host_bias;
  std::vector<std::vector<float>> before;
  std::vector<Array<bf16>> w, bias, narrow;
  std::vector<Array<float>> floats;
  Gemv g{x.get(), c.rows, c.in, static_cast<int32_t>(batch), {}, c.gate};
  for (size_t j = 0; j < batch; ++j) {
    const auto out = static_cast<size_t>(c.outs[j]);
    host_w.push_back(normal(out * c.in, 10 + j));
    host_bias.push_back(normal(out, 20 + j));
    const auto y = normal(out * c.rows, 30 + j);
    before.emplace_back();
    for (const bf16 each : y) before.back().push_back(wide(each));
    w.emplace_back(host_w.back());
    bias.emplace_back(host_bias.back());
    narrow.emplace_back(y);
    floats.emplace_back(before.back());
    void* to = c.wide ? static_cast<void*>(floats.back().get()) : narrow.back().get();
    g.output[j] = {w.back().get(), c.biased ? bias.back().get() : nullptr, {to, c.wide}, c.outs[j], c.add};
  }
  MUST(gemv(g, nullptr));
  MUST(cudaDeviceSynchronize());
  double off = 0, size = 0;
  const auto dot = [&](size_t j, int row, int out) {
    double sum = c.biased ? wide(host_bias[j][out]) : 0;
    for (int i = 0; i < c.in; ++i)
      sum += static_cast<double>(wide(host_x[static_cast<size_t>(row) * c.in + i])) *
             wide(host_w[j][static_cast<size_t>(out) * c.in + i]);
    return sum;
  };
  for (size_t j = 0; j < (c.gate == Gate::kNone ? batch : 1); ++j) {
    const auto got_wide = floats[j].host();
    const auto got_narrow = narrow[j].host();
    for (int row = 0; row < c.rows; ++row)
      for (int out = 0; out < c.outs[j]; ++out) {
        double want = dot(j, row, out);
        if (c.gate == Gate::kSilu) want = want / (1 + std::exp(-want)) * dot(1, row, out);
        if (c.gate == Gate::kGeluTanh)
          want = 0.5 * want * (1 + std::tanh(0.797884560802865 * (want + 0.044715 * want * want * want))) * dot(1, row, out);
        const size_t at = static_cast<size_t>(row) * c.outs[j] + out;
        if (c.add) want += before[j][at];
        const double here = std::fabs((c.wide ? got_wide[at] : wide(got_narrow[at])) - want) / (1 + std::fabs(want));
        off = here <= off ? off : here;
        size = std::max(size, std::fabs(want));
      }
  }
  char text[160];
  std::snprintf(text, sizeof text, "%d rows, %d -> %d (%d outputs)%s%s%s: off %.1e of values to %.1f", c.rows, c.in, c.outs[0],
                static_cast<int>(batch), c.gate == Gate::kNone ? "" : ", gated", c.add ? ", added" : "", c.wide ? ", fp32" : "",
                off, size);
  return judge(off <= (c.wide ? 2e-5 : 4.1e-3) && size > 1e-3, "gemv", text);
}

int check_argmax() {
  int wrong = 0;
  for (const int width : {1, 19, 4096, 152064}) {
    std::vector<float> x(2 * static_cast<size_t>(width));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 2654435761u % 1000) - 900;
    const Array<float> device_x(x);
    const Array<uint64_t> keys(2);
    MUST(argmax(device_x.get(), 2, width, keys.get(), nullptr));
    const auto got = keys.host();
    for (int row = 0; row < 2; ++row) {
      const auto from = x.begin() + row * width, top = std::max_element(from, from + width);
      const ArgmaxResult b = argmax_of(got[row]);
      wrong += judge(b.index == top - from && b.value == *top, "argmax",
                     (std::to_string(b.index) + " of " + std::to_string(width)).c_str());
    }
  }
  const Array<float> x(std::vector<float>{1, -INFINITY, 2, NAN});
  const Array<uint64_t> key(1);
  MUST(argmax(x.get(), 1, 4, key.get(), nullptr));
  return wrong + judge(!std::isfinite(argmax_of(key.host()[0]).value), "argmax", "a number that is not finite wins");
}

// Against the kernels that rope_append() stands in for.
int check_rope_append(bool adjacent, int dim, int pairs, bool counted) {
  constexpr int kRows = 3, kHeads = 6, kKvHeads = 2;
  const Array<bf16> q(normal(kRows * kHeads * dim, 1)), k(normal(kRows * kKvHeads * dim, 2)),
      v(normal(kRows * kKvHeads * dim, 3));
  const Array<bf16> q2(q.host()), k2(k.host());
  std::vector<float> frequencies;
  for (int i = 0; i < pairs; ++i) frequencies.push_back(std::pow(10000.0f, -static_cast<float>(i) / pairs));
  const Array<float> inv_freq(frequencies);
  const Array<int32_t> counter(std::vector<int32_t>{2}), lengths(std::vector<int32_t>{6, 6}), flag(std::vector<int32_t>{0});
  const HeadsKv one({20, 20}, dim, 0, 9), two({20, 20}, dim, 0, 9);
  const int ahead = counted ? 2 : 0;
  MUST(rope_append({q.get(), k.get(), v.get(), kRows, kHeads, kKvHeads, dim, pairs, 100000 - ahead, inv_freq.get(), 1.25f,
                    adjacent, one.table->get(), counted ? nullptr : lengths.get(), 6 - ahead, counted ? counter.get() : nullptr,
                    flag.get()},
                   nullptr));
  MUST(rope(q2.get(), kRows, kHeads, dim, pairs, 100000, inv_freq.get(), 1.25f, adjacent, flag.get(), nullptr));
  MUST(rope(k2.get(), kRows, kKvHeads, dim, pairs, 100000, inv_freq.get(), 1.25f, adjacent, flag.get(), nullptr));
  MUST(append_kv(k2.get(), v.get(), kRows, kKvHeads, dim, two.table->get(), lengths.get(), 0, nullptr));
  MUST(cudaDeviceSynchronize());
  double off = 0;
  const auto compare = [&](const Array<bf16>& a, const Array<bf16>& b) {
    const auto x = a.host(), y = b.host();
    for (size_t i = 0; i < x.size(); ++i) {
      const double here = std::fabs(wide(x[i]) - wide(y[i]));
      off = here <= off ? off : here;
    }
  };
  compare(q, q2);
  for (int i = 0; i < 4; ++i) compare(one.memory[i], two.memory[i]);
  const bool finite = flag.host()[0] == 0;
  auto bad = k.host();
  bad[kRows * kKvHeads * dim - 1] = __float2bfloat16_rn(INFINITY);
  const Array<bf16> bad_k(bad);
  MUST(rope_append({nullptr, bad_k.get(), nullptr, kRows, kHeads, kKvHeads, dim, pairs, 0, inv_freq.get(), 1, adjacent,
                    one.table->get(), lengths.get(), 0, nullptr, flag.get()},
                   nullptr));
  return judge(
      off <= 0.04 && finite && flag.host()[0] == 1, "rope_append",
      ("heads of " + std::to_string(dim) + ", " + std::to_string(pairs) + " pairs: off " + std::to_string(off)).c_str());
}

}  // namespace

int check_step() {
  int wrong = 0;
  for (const int rows : {1, 2, 3, 4, 5, 8}) {
    wrong += check(GemvCase{rows, 3584, {512, 130, 131}, Gate::kNone, false, false, true});
    wrong += check(GemvCase{rows, 1320, {77}, Gate::kNone, true, true});
    wrong += check(GemvCase{rows, 264, {65, 65}, Gate::kSilu});
    wrong += check(GemvCase{rows, 72, {9, 9}, Gate::kGeluTanh, false, false, true});
    wrong += check(GemvCase{rows, 8, {3}, Gate::kNone, true, false, true});
  }
  wrong += check_argmax();
  wrong += check_rope_append(false, 128, 64, true) + check_rope_append(false, 64, 16, false) +
           check_rope_append(true, 64, 32, true) + check_rope_append(false, 256, 128, false);
  return wrong;
}

}  // namespace headzip::cuda::dev
