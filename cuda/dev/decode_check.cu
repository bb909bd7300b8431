// Attention of a decoding step against plain loops on the host, at odd sizes. The error allowed is twice that of the same
// loops with bf16 logits, weights and output.
#include <cstring>

#include "decode_heads.h"

namespace headzip::cuda::dev {
namespace {

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
  return wrong + check_step();
}

}  // namespace headzip::cuda::dev
