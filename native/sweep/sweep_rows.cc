// The rows of a sweep, tile by tile: what each sees of the context, and what it costs.
#include <algorithm>
#include <utility>

#include "../layer/work.h"
#include "sweep_run.h"

namespace headzip {

double SweepRun::tile_work(int64_t layer, int64_t rows, double keys, LayerOutput output) const {
  const double linear = linear_work(spec_, layer) / (output == LayerOutput::kHidden ? 1 : 8);
  const double attention = output == LayerOutput::kHidden   ? attention_work(spec_.attention(layer))
                           : output == LayerOutput::kScores ? attention_work(spec_.attention(layer)) / 2
                                                            : 0;
  if (const int64_t window = spec_.attention(layer).window; window > 0) keys = std::min(keys, static_cast<double>(window));
  return static_cast<double>(rows) * (linear + attention * keys);
}

int64_t SweepRun::context_tile_end(int64_t row, bool last) const {
  const int64_t end = std::min(row + tile_, prefill_);
  // Of the last layer only the last token's output is wanted, and only for generation.
  return last && plan_.want_cache && row < prefill_ - 1 ? std::min(end, prefill_ - 1) : end;
}

// Rows [row, end) of the context, cut where what they see changes: one block of kBlock sees nothing of another.
std::vector<RowGroup> SweepRun::context_groups(int64_t row, int64_t end, KvLayer& kv) const {
  if (!blocks()) return {RowGroup{0, end - row, row < prefix_ ? row : row + plan_.before, &kv, {{&kv, 0, -1, 0}}, nullptr, 0}};
  std::vector<RowGroup> groups;
  const int64_t first = row;
  size_t chunk = 0;
  while (row < end) {
    int64_t stop = std::min(end, prefix_), start = 0;
    if (row >= prefix_) {
      while (row >= prefix_ + plan_.chunks[chunk].end) ++chunk;
      start = prefix_ + plan_.chunks[chunk].start;
      stop = std::min(end, prefix_ + plan_.chunks[chunk].end);
    }
    RowGroup group{row - first, stop - row, row < prefix_ ? row : row + plan_.before, &kv, {}, nullptr, 0};
    if (row >= prefix_) group.segments.push_back({&kv, 0, prefix_, 0});
    group.segments.push_back({&kv, start, stop - start, row < prefix_ ? 0 : start + plan_.before});
    groups.push_back(std::move(group));
    row = stop;
  }
  return groups;
}

void SweepRun::context_layer(int64_t layer, KvLayer& kv) {
  const bool last = last_of_context(layer);
  for (int64_t row = 0; row < prefill_;) {
    const int64_t end = context_tile_end(row, last);
    const std::vector<RowGroup> groups = context_groups(row, end, kv);
    const bool final_row = last && plan_.want_cache && row == prefill_ - 1;
    const LayerOutput output = !last || final_row ? LayerOutput::kHidden : last_output();
    runner_->run(layer, context_stream_.slice(row, end - row), groups, output);
    backend_.throttle();
    double work = 0;
    for (const RowGroup& p : groups) {
      const double middle = static_cast<double>(row + p.first) + static_cast<double>(p.rows) / 2;
      work +=
          tile_work(layer, p.rows, middle - (blocks() ? static_cast<double>(p.segments.back().begin - prefix_) : 0), output);
    }
    control_.advance(work);
    row = end;
  }
}

// `own` holds the input's own KV; the result is its rows [offset, offset + rows).
RowGroup SweepRun::repeat_rows(KvLayer& kv, KvLayer& own, const Chunk& c, int64_t offset, int64_t rows, float* scores) const {
  const int64_t start = prefix_ + c.start, end = prefix_ + c.end;
  const int64_t first = plan_.before + prefill_ + plan_.after;  // position of the input's first token
  float* const to = scores == nullptr ? nullptr : scores + c.start - plan_.chunks.front().start;
  RowGroup group{0, rows, first + offset, &own, {}, to, scored_positions(), {}};
  if (to != nullptr && weighted()) group.weights = {value_norms_.data, value_norms_.positions, nullptr};
  const auto add = [&](KvLayer& from, int64_t begin, int64_t count, int64_t position, bool in_score, bool scored) {
    if (count != 0) group.segments.push_back({&from, begin, count, position, false, in_score, scored});
  };
  const bool full = plan_.kind == SweepKind::kFull;
  add(kv, 0, prefix_, 0, true, false);
  if (full) add(kv, prefix_, start - prefix_, prefix_, false, false);
  add(kv, start, end - start, start + plan_.before, true, true);
  if (full) add(kv, end, prefill_ - end, end, false, false);
  add(own, 0, -1, first, true, false);
  return group;
}

void SweepRun::repeat_group(int64_t layer, KvLayer& kv, const Group& group, float* scores) {
  const LayerOutput output = last_of_repeat(layer) ? LayerOutput::kScores : LayerOutput::kHidden;
  for (size_t i = 0; i < group.chunks; ++i) prepare(backend_, spec_.attention(layer), longest_, own_[i]);
  for (int64_t from = 0; from < group.rows; from += tile_) {
    const int64_t to = std::min(from + tile_, group.rows);
    std::vector<RowGroup> groups;
    double work = 0;
    int64_t input = 0;  // first row of the input within the group
    for (size_t i = 0; i < group.chunks; ++i) {
      const Chunk& c = plan_.chunks[group.first_chunk + i];
      const auto rows = static_cast<int64_t>(c.ids.size());
      const int64_t low = std::max(from, input), high = std::min(to, input + rows);
      if (low < high) {
        groups.push_back(repeat_rows(kv, *own_[i], c, low - input, high - low, scores));
        groups.back().first = low - from;
        const bool narrow = plan_.kind != SweepKind::kFull || output == LayerOutput::kScores;
        const int64_t context = narrow ? prefix_ + c.end - c.start : prefill_;
        work += tile_work(layer, high - low, static_cast<double>(context + (low + high) / 2 - input), output);
      }
      input += rows;
    }
    runner_->run(layer, repeat_stream_.slice(group.first_row + from, to - from), groups, output);
    backend_.throttle();
    control_.advance(work);
  }
}

}  // namespace headzip
