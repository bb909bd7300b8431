// Forward passes of queries beside a cache that they share and do not change: each has its own entries, its tail.
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "../backend.h"
#include "../kv/kv_cache.h"
#include "../job_control.h"
#include "../layer/layer.h"

namespace headzip {

// KV of a query and its answer so far, a layer of it a layer of the cache.
struct Tail {
  std::vector<std::unique_ptr<KvLayer>> layers;
  int64_t tokens = 0;
};

// What is wanted of the rows of a step.
enum class StepOutput { kNothing, kArgmax, kLogits };

struct StepResult {
  std::vector<Argmax> argmax;     // (tails)
  std::vector<float> logits;  // (tails, vocab)
};

class Decoder {
 public:
  // Work buffers for passes of up to `rows` rows; more are cut into several.
  Decoder(Backend& backend, const Model& model, const KvCache& cache, int64_t rows);

  Tail tail(int64_t capacity) const;
  // Runs `ids` behind what the tail holds and appends them. Returns the logits of rows [first, ids), (rows, vocab):
  // handed over a few rows at a time, so that a long answer's logits never lie in memory together.
  template <typename Take>
  void extend(Tail& tail, std::span<const int32_t> ids, size_t first, JobControl& control, Take&& take);
  // One more token in each tail, all in one pass.
  StepResult step(std::span<Tail* const> tails, std::span<const int32_t> ids, StepOutput wanted, JobControl& control);

 private:
  void pass(Rows x, std::vector<RowGroup>& groups, std::span<Tail* const> tails, JobControl& control);
  std::vector<float> rows_logits(Rows x) { return runner_.logits(x); }
  // pass() and the LM head behind it, one row a tail; played back while nothing but the tails' lengths changes.
  void advance(Rows x, std::span<Tail* const> tails, bool lm_head, JobControl& control);
  void synchronize();

  Backend& backend_;
  const Model& model_;
  const KvCache& cache_;
  int64_t tile_;
  LayerRunner runner_;
  OwnedRows x_;                // (tile, hidden)
  std::vector<RowGroup> row_groups_;  // of the pass at hand
  std::unique_ptr<Recording> recording_;
  std::vector<Tail*> recorded_;  // the tails that it is of
  bool recorded_lm_head_ = false;
};

constexpr int64_t kLogitRows = 16;

template <typename Take>
void Decoder::extend(Tail& tail, std::span<const int32_t> ids, size_t first, JobControl& control, Take&& take) {
  Tail* const tails[] = {&tail};
  for (size_t at = 0; at < ids.size(); at += static_cast<size_t>(tile_)) {
    const auto part = ids.subspan(at, std::min(static_cast<size_t>(tile_), ids.size() - at));
    const auto rows = static_cast<int64_t>(part.size());
    const Rows x = x_.slice(0, rows);
    backend_.embed(model_.embed, part, model_.spec.embed_scale, x);
    row_groups_.assign(1, RowGroup{0, rows, 0, nullptr, {}, nullptr, 0});
    pass(x, row_groups_, tails, control);
    tail.tokens += rows;
    for (int64_t row = std::max<int64_t>(0, static_cast<int64_t>(first) - static_cast<int64_t>(at)); row < rows;
         row += kLogitRows) {
      const int64_t count = std::min(kLogitRows, rows - row);
      const std::vector<float> logits = rows_logits(x.slice(row, count));
      synchronize();  // before anybody acts on them
      take(static_cast<int64_t>(at) + row, count, logits);
    }
    synchronize();
    control.advance(static_cast<double>(rows));
  }
}

}  // namespace headzip
