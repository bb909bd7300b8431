// The kernels of a decoding step against plain loops on the host, at odd sizes. The error allowed is twice that of the same
// loops with bf16 logits, weights and output.
#include <cmath>
#include <cstdio>
#include <cstring>

#include "../decode/decode.h"
#include "rig.h"

namespace headzip::cuda::dev {
namespace {

std::vector<bf16> normal(size_t count, unsigned seed) {
  const Array<bf16> made(count);
  fill_normal(made.get(), count, seed);
  MUST(cudaDeviceSynchronize());
  return made.host();
}
float wide(bf16 x) { return __bfloat162float(x); }
float rounded(float x, bool low) { return low ? wide(__float2bfloat16_rn(x)) : x; }
int judge(bool right, const char* what, const char* rest) {
  std::printf("%-5s decode    %s: %s\n", right ? "ok" : "WRONG", what, rest);
  return right ? 0 : 1;
}

// Keys and values whose heads differ in length, on the device and on the host.
struct HeadsKv {
  HeadsKv(std::vector<int32_t> lengths_, int dim, int spare, unsigned seed)
      : lengths(std::move(lengths_)), device_lengths(lengths) {
    std::vector<HeadKv> heads;
    for (size_t h = 0; h < lengths.size(); ++h) {
      const size_t count = static_cast<size_t>(lengths[h] + spare) * dim, used = static_cast<size_t>(lengths[h]) * dim;
      for (int part = 0; part < 2; ++part) {
        std::vector<bf16> values = normal(std::max<size_t>(count, 1), seed + 2 * static_cast<unsigned>(h) + part);
        // What is past the end must not be read, or not count.
        for (size_t i = used; i < values.size(); ++i) values[i] = __float2bfloat16_rn(NAN);
        memory.emplace_back(values);
        (part == 0 ? k : v).push_back(std::move(values));
      }
      heads.push_back({memory[2 * h].get(), memory[2 * h + 1].get()});
    }
    table = std::make_unique<Array<HeadKv>>(heads);
  }
  std::vector<int32_t> lengths;
  std::vector<std::vector<bf16>> k, v;
  std::vector<Array<bf16>> memory;
  Array<int32_t> device_lengths;
  std::unique_ptr<Array<HeadKv>> table;
};

struct Case {
  const char* what;
  int dim, group, queries;
  std::vector<int32_t> context;
  int tail;
  int spare = 0, advance = -1;  // room in the tail; steps that the device has counted, -1: it counts none
  int window = 0;
  bool streams = false, gaps = false;  // every other head has a window; heads lost every other entry
  int blocks = 264, batch = 1;
};

class Attention {
 public:
  explicit Attention(const Case& c)
      : c_(c), kv_heads_(static_cast<int>(c.context.size())), ahead_(std::max(c.advance, 0)), context_(c.context, c.dim, 3, 1),
        counter_(std::vector<int32_t>{ahead_}) {
    before_ = *std::max_element(c.context.begin(), c.context.end()) * (c.gaps ? 2 : 1) + 5;
    launch_.shape = {kv_heads_ * c.group, kv_heads_, c.dim, 1 / std::sqrt(static_cast<float>(c.dim)), 1, c.window};
    launch_.stride = launch_.shape.heads * c.dim;
    launch_.advance = c.advance < 0 ? nullptr : counter_.get();
    launch_.batch = c.batch;
    for (int h = 0; h < kv_heads_; ++h) {
      // Heads 1, 5, … have a small sink, heads 3, 7, … one that reaches into the tail.
      const int sink = h % 4 == 1 ? 5 : before_ + 3;
      windows_.push_back(c.streams && h % 2 == 1 ? HeadWindow{20, sink, std::min(sink, c.context[h])} : HeadWindow{0, 0, 0});
      std::vector<int32_t> kept;
      for (int i = 0; i < c.context[h] * 2 / 3; ++i) kept.push_back(2 * i);
      positions_.push_back(kept);
      device_positions_.emplace_back(kept.empty() ? std::vector<int32_t>{0} : kept);
      gaps_.push_back({device_positions_.back().get(), static_cast<int32_t>(kept.size()), before_ - c.context[h]});
    }
    window_table_ = std::make_unique<Array<HeadWindow>>(windows_);
    gap_table_ = std::make_unique<Array<HeadPositions>>(gaps_);
    for (int j = 0; j < c.batch; ++j) add_params(j);
    scratch_ = std::make_unique<Array<float>>(decode_scratch(launch_) / sizeof(float));
    poison(scratch_->get(), scratch_->count() * sizeof(float));
    launch_.scratch = scratch_->get();
  }

  int check() {
    MUST(decode_attention(launch_, nullptr));
    MUST(cudaDeviceSynchronize());
    double off = 0, low = 0, size = 0;
    std::vector<std::vector<bf16>> first;
    for (int j = 0; j < c_.batch; ++j) {
      first.push_back(out_[j].host());
      const std::vector<float> reference = naive(j, false), coarse = naive(j, true);
      for (size_t i = 0; i < reference.size(); ++i) {
        const double here = std::fabs(wide(first[j][i]) - reference[i]);
        off = here <= off ? off : here;  // NaN wins
        low = std::max<double>(low, std::fabs(coarse[i] - reference[i]));
        size = std::max<double>(size, std::fabs(reference[i]));
      }
    }
    MUST(decode_attention(launch_, nullptr));
    MUST(cudaDeviceSynchronize());
    bool same = true;
    for (int j = 0; j < c_.batch; ++j) {
      const auto again = out_[j].host();
      same &= std::memcmp(again.data(), first[j].data(), again.size() * sizeof(bf16)) == 0;
    }
    char text[200];
    std::snprintf(text, sizeof text,
                  "%d/%d x %d, %d queries, tail %d, batch of %d, %d + %d splits: off %.1e, bf16 %.1e, values to %.2f%s",
                  launch_.shape.heads, kv_heads_, c_.dim, c_.queries, c_.tail, c_.batch, launch_.params[0].plan[0].splits,
                  launch_.params[0].plan[1].splits, off, low, size, same ? "" : ", ANOTHER RUN GAVE OTHER BITS");
    return judge(off <= 2 * low + 1e-5 && size > 1e-3 && same, c_.what, text);
  }

 private:
  void add_params(int j) {
    const int tokens = c_.tail + j, width = static_cast<int>(launch_.stride);
    tails_.push_back(
        std::make_unique<HeadsKv>(std::vector<int32_t>(kv_heads_, tokens + ahead_), c_.dim, c_.spare, 100 + 50 * j));
    host_q_.push_back(normal(static_cast<size_t>(c_.queries) * width, 77 + j));
    q_.emplace_back(host_q_.back());
    out_.emplace_back(static_cast<size_t>(c_.queries) * width);
    poison(out_.back().get(), out_.back().count() * sizeof(bf16));
    const int chunk = decode_chunk(c_.context.data(), kv_heads_, c_.blocks), each = (tokens + ahead_ + c_.spare + 255) / 256;
    launch_.params[j] = {q_.back().get(),
                         out_.back().get(),
                         c_.queries,
                         before_ + tokens - c_.queries,
                         2,
                         {{context_.table->get(), nullptr, context_.device_lengths.get(),
                           c_.streams ? window_table_->get() : nullptr, c_.gaps ? gap_table_->get() : nullptr, 0, 0,
                           before_ - 1, 0, 0},
                          {tails_.back()->table->get(), nullptr, nullptr, c_.streams ? window_table_->get() : nullptr, nullptr,
                           0, tokens, before_, 0, 0}},
                         {{chunk, decode_splits(c_.context.data(), kv_heads_, chunk)}, {256, each * kv_heads_}}};
  }

  std::vector<float> naive(int j, bool low) const {
    std::vector<float> out(host_q_[j].size());
    const float scale = launch_.shape.scale;
    for (int query = 0; query < c_.queries; ++query)
      for (int head = 0; head < launch_.shape.heads; ++head) {
        const int h = head / c_.group, at = launch_.params[j].position + ahead_ + query;
        const bf16* q = host_q_[j].data() + query * launch_.stride + head * c_.dim;
        std::vector<float> logit;
        std::vector<const bf16*> value;
        const auto meet = [&](const HeadsKv& kv, int entry, int position, int original, int sink_end) {
          if (position > at || (c_.window > 0 && original <= at - c_.window)) return;
          if (sink_end >= 0 && entry >= sink_end && position <= at - windows_[h].recent) return;
          float sum = 0;
          for (int d = 0; d < c_.dim; ++d) sum += wide(q[d]) * wide(kv.k[h][static_cast<size_t>(entry) * c_.dim + d]);
          logit.push_back(rounded(sum, low) * scale);
          value.push_back(&kv.v[h][static_cast<size_t>(entry) * c_.dim]);
        };
        for (int e = 0; e < c_.context[h]; ++e) {
          const int position = before_ - c_.context[h] + e;
          const int original = !c_.gaps ? position : e < gaps_[h].count ? positions_[h][e] : e + gaps_[h].shift;
          meet(context_, e, position, original, windows_[h].recent > 0 ? windows_[h].entries : -1);
        }
        for (int e = 0; e < c_.tail + j + ahead_; ++e)
          meet(*tails_[j], e, before_ + e, before_ + e, windows_[h].recent > 0 ? std::max(0, windows_[h].sink - before_) : -1);
        float top = -INFINITY;
        double total = 0;
        for (const float z : logit) top = std::max(top, z);
        for (float& z : logit) total += z = std::exp(z - top);
        for (int d = 0; d < c_.dim; ++d) {
          double sum = 0;
          for (size_t i = 0; i < logit.size(); ++i)
            sum += rounded(static_cast<float>(logit[i] / total), low) * wide(value[i][d]);
          out[query * launch_.stride + head * c_.dim + d] = rounded(static_cast<float>(sum), low);
        }
      }
    return out;
  }

  const Case& c_;
  int kv_heads_, ahead_, before_ = 0;
  HeadsKv context_;
  std::vector<std::unique_ptr<HeadsKv>> tails_;
  std::vector<std::vector<bf16>> host_q_;
  std::vector<Array<bf16>> q_, out_;
  Array<int32_t> counter_;
  std::vector<HeadWindow> windows_;
  std::vector<std::vector<int32_t>> positions_;
  std::vector<Array<int32_t>> device_positions_;
  std::vector<HeadPositions> gaps_;
  std::unique_ptr<Array<HeadWindow>> window_table_;
  std::unique_ptr<Array<HeadPositions>> gap_table_;
  std::unique_ptr<Array<float>> scratch_;
  DecodeLaunch launch_{};
};

struct ProductCase {
  int rows, in;
  std::vector<int> outs;
  Gate gate = Gate::kNone;
  bool add = false, wide = false, biased = false;
};

int check(const ProductCase& c) {
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

int check_decode() {
  const Case cases[] = {
      {"one key", 128, 7, 1, {0, 0}, 1},
      {"full heads", 128, 7, 1, {12001, 12001, 12001, 12001}, 19},
      {"evicted heads", 128, 7, 1, {30, 20011, 30, 111}, 40, 88, 60},
      {"an empty head", 128, 4, 1, {0, 300, 1, 65, 64, 63, 129, 4097}, 300, 20, 5},
      {"few blocks", 128, 7, 1, {3001, 30, 700}, 5, 0, -1, 0, false, false, 6},
      {"nine queries", 128, 7, 9, {2000, 130}, 40},
      {"111 queries", 128, 1, 111, {700, 130}, 200},
      {"wide groups", 128, 20, 3, {1000, 30}, 40},
      {"window", 128, 2, 5, {2000, 2000}, 400, 0, -1, 333},
      {"window", 128, 2, 1, {600, 600}, 400, 60, 11, 511},
      {"streaming heads", 128, 4, 1, {3000, 300, 300, 70}, 40, 20, 3, 0, true},
      {"streaming heads", 128, 4, 17, {3000, 300}, 40, 0, -1, 0, true},
      {"gaps", 128, 4, 3, {1000, 311}, 10, 20, -1, 600, false, true},
      {"gaps, streaming", 128, 4, 1, {1000, 311}, 10, 20, 4, 900, true, true},
      {"a batch", 128, 7, 1, {5000, 31}, 10, 20, -1, 0, false, false, 264, 8},
      {"full heads", 64, 4, 1, {5001, 5001}, 19, 0, -1},
      {"evicted heads", 64, 2, 1, {30, 2011, 30, 111}, 400, 88, 60},
      {"nine queries", 64, 3, 9, {2000, 130}, 40},
      {"full heads", 256, 2, 1, {5001, 5001}, 19},
      {"window", 256, 4, 3, {700, 700}, 40, 0, -1, 512},
      {"evicted heads", 96, 4, 1, {30, 2011}, 40},
      {"evicted heads", 80, 5, 2, {30, 2011}, 40},
      {"evicted heads", 16, 2, 1, {30, 211}, 40},
  };
  int wrong = 0;
  for (const Case& c : cases) wrong += Attention(c).check();
  for (const int rows : {1, 2, 3, 4, 5, 8}) {
    wrong += check(ProductCase{rows, 3584, {512, 130, 131}, Gate::kNone, false, false, true});
    wrong += check(ProductCase{rows, 1320, {77}, Gate::kNone, true, true});
    wrong += check(ProductCase{rows, 264, {65, 65}, Gate::kSilu});
    wrong += check(ProductCase{rows, 72, {9, 9}, Gate::kGeluTanh, false, false, true});
    wrong += check(ProductCase{rows, 8, {3}, Gate::kNone, true, false, true});
  }
  wrong += check_argmax();
  wrong += check_rope_append(false, 128, 64, true) + check_rope_append(false, 64, 16, false) +
           check_rope_append(true, 64, 32, true) + check_rope_append(false, 256, 128, false);
  return wrong;
}

}  // namespace headzip::cuda::dev
