#include "sweep_run.h"

#include <future>

#include "../layer/work.h"
#include "check_plan.h"
#include "summary.h"

namespace headzip {

namespace {
constexpr int64_t kKeyBlock = 32;
}

// Inputs run side by side as far as a tile holds them.
void SweepRun::group_chunks() {
  size_t most = 0;
  for (size_t c = 0; c < plan_.chunks.size(); ++c) {
    const auto rows = static_cast<int64_t>(plan_.chunks[c].ids.size());
    longest_ = std::max(longest_, rows);
    if (groups_.empty() || groups_.back().rows + rows > tile_) groups_.push_back({c, 0, repeated_, 0});
    groups_.back().chunks += 1;
    groups_.back().rows += rows;
    most = std::max(most, groups_.back().chunks);
    repeated_ += rows;
  }
  own_.resize(most);
}

// What the job will hold besides weights: two streams, one layer of KV (or all of it, when kept), a tile's buffers.
void SweepRun::announce() {
  int64_t values = 2 * spec_.widths().kv * (context_rows() + std::max(longest_, tile_)) + tile_ * buffer_values(spec_);
  if (plan_.want_cache) values += spec_.kv_values(prefill_);
  const int64_t streams = (context_rows() + repeated_) * spec_.hidden;
  backend_.begin(model_, static_cast<size_t>(streams) * bytes_of(backend_.stream_element()) +
                             static_cast<size_t>(values) * bytes_of(backend_.element()));
}

void SweepRun::embed() {
  std::vector<int32_t> ids;
  const auto stream = [&] {
    OwnedRows rows = backend_.stream(static_cast<int64_t>(ids.size()), spec_.hidden);
    backend_.embed(model_.embed, ids, spec_.embed_scale, rows);
    return rows;
  };
  if (context_rows() > 0) {
    ids.assign(plan_.prefix.begin(), plan_.prefix.end());
    ids.insert(ids.end(), plan_.context.begin(), plan_.context.end());
    context_stream_ = stream();
  }
  if (!scoring()) return;
  ids.clear();
  for (const Chunk& c : plan_.chunks) ids.insert(ids.end(), c.ids.begin(), c.ids.end());
  repeat_stream_ = stream();
}

void SweepRun::count_work() {
  double total = 0;
  const auto context = static_cast<double>(prefill_), chunk = static_cast<double>(longest_);
  const bool narrow = plan_.kind != SweepKind::kFull;
  const double context_keys = blocks() ? std::min(context, chunk) / 2 : context / 2;
  for (int64_t l = 0; l < end_; ++l) {
    total += tile_work(l, context_rows(), context_keys, last_of_context(l) ? LayerOutput::kKeys : LayerOutput::kHidden);
    if (l > last_scored_) continue;
    if (weighted() && scored(l)) total += weigh_work(l, scored_positions());
    const bool last = last_of_repeat(l);
    total += tile_work(l, repeated_, narrow || last ? 1.5 * chunk : context + chunk / 2,
                       last ? LayerOutput::kScores : LayerOutput::kHidden);
  }
  control_.total = total;
}

void SweepRun::make_buffers() {
  runner_ = std::make_unique<LayerRunner>(backend_, model_, plan_.ropes, std::min(tile_, std::max(context_rows(), repeated_)));
  if (!scoring()) return;
  int64_t kv_heads = 0, heads = 0;
  for (const LayerSpec& l : spec_.layers) {
    kv_heads = std::max(kv_heads, l.attention.kv_heads);
    heads = std::max(heads, l.attention.heads);
  }
  scores_ = backend_.scores(kv_heads, scored_positions());
  host_.resize(static_cast<size_t>(kv_heads * scored_positions()));
  // Kernels read whole blocks of keys.
  if (weighted()) value_norms_ = backend_.scores(heads, (prefill_ + kKeyBlock - 1) / kKeyBlock * kKeyBlock);
}

// Tile by tile, so that it can be stopped.
void SweepRun::weigh(int64_t layer, const KvLayer& kv) {
  const int64_t begin = prefix_ + plan_.chunks.front().start, end = begin + scored_positions();
  for (int64_t at = begin; at < end; at += tile_) {
    const int64_t count = std::min(tile_, end - at);
    runner_->value_norms(layer, kv, at, count, value_norms_);
    control_.advance(weigh_work(layer, count));
  }
}

SweepResult SweepRun::run() {
  backend_.reset_peak();
  group_chunks();
  announce();
  embed();
  make_buffers();
  count_work();
  SweepResult result;
  if (plan_.want_cache) result.cache = new_cache();
  std::future<void> summary;  // of `host_`, made while the device goes on with the next layer
  std::unique_ptr<KvLayer> kv;
  for (int64_t layer = 0; layer < end_; ++layer) {
    const AttentionSpec& attention = spec_.attention(layer);
    const bool scores = scoring() && scored(layer);
    backend_.enter_layer(model_, layer);
    if (context_rows() > 0) {
      prepare(backend_, attention, prefill_, kv);
      context_layer(layer, *kv);
    }
    KvLayer& context_kv = plan_.full != nullptr ? plan_.full->kv(layer) : *kv;
    if (scores) backend_.clear(scores_);
    if (scores && weighted()) weigh(layer, context_kv);
    if (layer <= last_scored_)
      for (const Group& group : groups_) repeat_group(layer, context_kv, group, scores ? scores_.data : nullptr);
    if (summary.valid()) summary.get();
    if (scores) backend_.download(scores_, host_.data());
    runner_->synchronize(layer);
    if (scores)
      summary = std::async(std::launch::async, [&, layer, heads = attention.kv_heads] {
        const std::span<const float> rows(host_.data(), static_cast<size_t>(heads * scored_positions()));
        summarise(rows, heads, layer, result.max, result.mean, result.p99);
        if (plan_.want_pairs) result.pairs.insert(result.pairs.end(), rows.begin(), rows.end());
      });
    if (!result.cache) continue;
    evict(layer, *kv, host_, *result.cache);
    result.cache->layers.push_back(std::move(kv));
  }
  if (summary.valid()) summary.get();
  if (result.cache) {
    result.cache->last_logits = runner_->logits(context_stream_.slice(prefill_ - 1, 1));
    runner_->synchronize(spec_.layer_count() - 1);
  }
  result.peak_bytes = backend_.peak_bytes();
  result.kernels = backend_.kernel_times();
  return result;
}

SweepResult run_sweep(Backend& backend, const Model& model, const SweepPlan& plan, JobControl& control) {
  check_plan(plan, model.spec);
  return SweepRun(backend, model, plan, control).run();
}

}  // namespace headzip
