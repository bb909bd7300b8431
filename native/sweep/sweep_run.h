// A sweep while it runs: its streams, its groups of reconstruction inputs, and the layer at hand.
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "../layer/layer.h"
#include "plan.h"

namespace headzip {

// Rows that reconstruction inputs of one group hold together: their own KV is alive at the same time.
struct Group {
  size_t first_chunk, chunks;
  int64_t first_row, rows;  // in the repeat stream
};

class SweepRun {
 public:
  SweepRun(Backend& backend, const Model& model, const SweepPlan& plan, JobControl& control)
      : backend_(backend), model_(model), spec_(model.spec), plan_(plan), control_(control),
        prefix_(static_cast<int64_t>(plan.prefix.size())), prefill_(prefix_ + static_cast<int64_t>(plan.context.size())),
        tile_(backend.tile_rows(model.spec)), last_scored_(model.spec.scored_layers().back()),
        end_(plan.want_cache ? model.spec.layer_count() : last_scored_ + 1) {
    if (plan.tile_rows > 0) tile_ = std::min(tile_, plan.tile_rows);
  }

  SweepResult run();

 private:
  void announce();
  void embed();
  void group_chunks();
  void count_work();
  void make_buffers();
  void context_layer(int64_t layer, KvLayer& kv);
  void repeat_group(int64_t layer, KvLayer& kv, const Group& group, float* scores);
  RowGroup repeat_rows(KvLayer& kv, KvLayer& own, const Chunk& c, int64_t offset, int64_t rows, float* scores) const;
  void weigh(int64_t layer, const KvLayer& kv);
  std::unique_ptr<KvCache> new_cache() const;
  void evict(int64_t layer, KvLayer& kv, std::span<const float> scores, KvCache& cache) const;
  int64_t context_tile_end(int64_t row, bool last) const;  // of the tile that starts at `row` of the context
  std::vector<RowGroup> context_groups(int64_t row, int64_t end, KvLayer& kv) const;
  double tile_work(int64_t layer, int64_t rows, double keys, LayerOutput output) const;
  double weigh_work(int64_t layer, int64_t entries) const {
    return static_cast<double>(entries) * static_cast<double>(spec_.attention(layer).q_width() * spec_.hidden);
  }
  // Nothing after this layer reads the repeat stream, or the context's but for its last row.
  bool last_of_repeat(int64_t layer) const { return layer == last_scored_; }
  bool last_of_context(int64_t layer) const { return layer + 1 == end_; }
  // Rows of the context that are read: none with a full cache.
  int64_t context_rows() const { return plan_.full != nullptr ? 0 : prefill_; }
  bool scoring() const { return !plan_.chunks.empty(); }
  bool scored(int64_t layer) const { return spec_.layers[static_cast<size_t>(layer)].scored; }
  bool blocks() const { return plan_.kind == SweepKind::kBlock; }
  bool weighted() const { return plan_.method == ScoreMethod::kKvzipPlus; }
  // Of the context in the last layer, where no output is wanted.
  LayerOutput last_output() const { return plan_.want_cache || weighted() ? LayerOutput::kValues : LayerOutput::kKeys; }
  // Context positions of all chunks, which lie in a row.
  int64_t scored_positions() const { return plan_.chunks.back().end - plan_.chunks.front().start; }

  Backend& backend_;
  const Model& model_;
  const ModelSpec& spec_;
  const SweepPlan& plan_;
  JobControl& control_;
  int64_t prefix_, prefill_, tile_;
  int64_t last_scored_, end_;  // layers [0, end_) are run
  OwnedRows context_stream_, repeat_stream_;
  ScoreBuffer scores_;        // (kv_heads of the layer with most, scored positions)
  ScoreBuffer value_norms_;   // (heads, entries) of the layer at hand, when weighted
  std::vector<float> host_;   // scores of one layer
  std::vector<Group> groups_;
  std::vector<std::unique_ptr<KvLayer>> own_;  // KV of the inputs of a group
  int64_t longest_ = 0;      // tokens of a reconstruction input
  int64_t repeated_ = 0;     // of all of them
  std::unique_ptr<LayerRunner> runner_;
};

}  // namespace headzip
