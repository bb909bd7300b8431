#include "sweep.h"

#include <algorithm>
#include <future>
#include <string>

#include "../layer/work.h"
#include "check_params.h"
#include "summary.h"
#include "sweep_run.h"

namespace headzip {

namespace {
constexpr int64_t kKeyBlock = 32;
}

// What the job will hold besides weights: two streams, one layer of KV (or all of it, when kept), a tile's buffers.
void SweepRun::announce() {
  int64_t repeat = 0, longest = 0;
  for (const Chunk& c : params_.chunks) {
    repeat += static_cast<int64_t>(c.ids.size());
    longest = std::max(longest, static_cast<int64_t>(c.ids.size()));
  }
  const int64_t kv = spec_.widths().kv, read = params_.full ? 0 : prefill_;
  int64_t values = 2 * kv * (read + std::max(longest, tile_)) + tile_ * buffer_values(spec_);
  if (params_.want_cache) values += spec_.kv_values(prefill_);
  const int64_t streams = (read + repeat) * spec_.hidden;
  backend_.begin(model_, static_cast<size_t>(streams) * bytes_of(backend_.stream_element()) + static_cast<size_t>(values) * bytes_of(backend_.element()));
}

void SweepRun::embed() {
  std::vector<int32_t> ids = params_.prefix;
  ids.insert(ids.end(), params_.context.begin(), params_.context.end());
  if (!params_.full) {
    context_rows_ = backend_.stream(prefill_, spec_.hidden);
    backend_.embed(model_.embed, ids, spec_.embed_scale, context_rows_);
  }
  ids.clear();
  for (const Chunk& c : params_.chunks) ids.insert(ids.end(), c.ids.begin(), c.ids.end());
  if (ids.empty()) return;
  repeat_rows_ = backend_.stream(static_cast<int64_t>(ids.size()), spec_.hidden);
  backend_.embed(model_.embed, ids, spec_.embed_scale, repeat_rows_);
}

void SweepRun::plan() {
  int64_t row = 0, longest = 0;
  size_t most = 0;
  for (size_t c = 0; c < params_.chunks.size(); ++c) {
    const auto rows = static_cast<int64_t>(params_.chunks[c].ids.size());
    longest = std::max(longest, rows);
    if (groups_.empty() || groups_.back().rows + rows > tile_) groups_.push_back({c, 0, row, 0});
    groups_.back().chunks += 1;
    groups_.back().rows += rows;
    most = std::max(most, groups_.back().chunks);
    row += rows;
  }
  own_.resize(most);
  longest_ = longest;
  const std::vector<RopeRef>& ropes = params_.full ? params_.full->ropes : params_.ropes.empty() ? spec_.ropes : params_.ropes;
  runner_ = std::make_unique<LayerRunner>(backend_, model_, ropes, std::min(tile_, std::max(params_.full ? 0 : prefill_, row)));

  double total = 0;
  const auto context = static_cast<double>(prefill_), chunk = static_cast<double>(longest);
  const bool narrow = params_.kind != SweepKind::kFull;
  const double context_keys = params_.kind == SweepKind::kBlock ? std::min(context, chunk) / 2 : context / 2;
  for (int64_t l = 0; l < end_; ++l) {
    if (!params_.full) total += tile_work(l, prefill_, context_keys, last_of_context(l) ? LayerOutput::kKeys : LayerOutput::kHidden);
    if (l > last_scored_) continue;
    if (weighted() && spec_.layers[static_cast<size_t>(l)].scored) total += weigh_work(l, scored_positions());
    const bool last = last_of_repeat(l);
    total += tile_work(l, row, narrow || last ? 1.5 * chunk : context + chunk / 2, last ? LayerOutput::kScores : LayerOutput::kHidden);
  }
  control_.total = total;
}

// Tile by tile, so that it can be stopped.
void SweepRun::weigh(int64_t layer, const KvLayer& kv) {
  const int64_t begin = prefix_ + params_.chunks.front().start, end = begin + scored_positions();
  for (int64_t at = begin; at < end; at += tile_) {
    const int64_t count = std::min(tile_, end - at);
    runner_->value_norms(layer, kv, at, count, value_norms_);
    control_.advance(weigh_work(layer, count));
  }
}

// `scores` (kv_heads, context) of this layer, where there are any.
void SweepRun::evict(int64_t layer, KvLayer& kv, std::span<const float> scores, KvCache& cache) const {
  const int64_t context = prefill_ - prefix_;
  const bool evictable = spec_.layers[static_cast<size_t>(layer)].scored;
  const AttentionSpec& attention = spec_.attention(layer);
  size_t first = 0;  // of the layer's heads in the mask
  for (int64_t l = 0; l < layer; ++l) first += spec_.layers[static_cast<size_t>(l)].scored ? static_cast<size_t>(spec_.attention(l).kv_heads) : 0;
  std::vector<uint8_t> keep(static_cast<size_t>(context));
  for (int64_t h = 0; h < attention.kv_heads; ++h) {
    if (attention.window > 0) forget_before(kv, h, prefill_ - attention.window + 1);
    if (!evictable) continue;
    if (!params_.keep_heads.empty()) {
      if (params_.keep_heads[first + static_cast<size_t>(h)] == 0) cache.evict_head(kv, h, params_.window);
    } else if (params_.uniform) {
      best_entries(scores.subspan(static_cast<size_t>(h * context), static_cast<size_t>(context)), *params_.uniform, keep);
      kv.retain(h, kept_entries(kv, h, kv.length(h), {prefix_, context}, keep));
    }
  }
}

SweepResult SweepRun::run() {
  backend_.reset_peak();
  SweepResult result;
  announce();
  embed();
  plan();
  const int64_t context = prefill_ - prefix_;
  if (params_.want_cache) {
    result.cache = std::make_unique<KvCache>();
    result.cache->prefix = prefix_;
    result.cache->context = context;
    result.cache->position = result.cache->turn_start = prefill_;
    result.cache->evicted = !params_.keep_heads.empty() || params_.uniform.has_value();
    result.cache->scored = spec_.scored_layers();
    result.cache->ropes = params_.ropes.empty() ? spec_.ropes : params_.ropes;
    result.cache->max_positions = params_.max_positions == 0 ? spec_.max_positions : params_.max_positions;
  }
  ScoreBuffer scores;
  std::vector<float> host;    // (kv_heads of the layer with most, scored positions) of one layer
  std::future<void> summary;  // of `host`, made while the device goes on with the next layer
  if (scoring()) {
    int64_t kv_heads = 0, heads = 0;
    for (const LayerSpec& l : spec_.layers) {
      kv_heads = std::max(kv_heads, l.attention.kv_heads);
      heads = std::max(heads, l.attention.heads);
    }
    scores = backend_.scores(kv_heads, scored_positions());
    host.resize(static_cast<size_t>(kv_heads * scored_positions()));
    // Kernels read whole blocks of keys.
    if (weighted()) value_norms_ = backend_.scores(heads, (prefill_ + kKeyBlock - 1) / kKeyBlock * kKeyBlock);
  }
  std::unique_ptr<KvLayer> kv;
  for (int64_t layer = 0; layer < end_; ++layer) {
    const AttentionSpec& attention = spec_.attention(layer);
    const bool scored = scoring() && spec_.layers[static_cast<size_t>(layer)].scored;
    backend_.enter_layer(model_, layer);
    if (!params_.full) {
      prepare(backend_, attention, prefill_, kv);
      context_layer(layer, *kv);
    }
    KvLayer& context_kv = params_.full ? params_.full->kv(layer) : *kv;
    if (scored) backend_.clear(scores);
    if (scored && weighted()) weigh(layer, context_kv);
    if (layer <= last_scored_)
      for (const Group& group : groups_) repeat_group(layer, context_kv, group, scored ? scores.data : nullptr);
    if (summary.valid()) summary.get();
    if (scored) backend_.download(scores, host.data());
    runner_->synchronize(layer);
    if (scored)
      summary = std::async(std::launch::async, [&, layer, heads = attention.kv_heads] {
        const std::span<const float> scores(host.data(), static_cast<size_t>(heads * scored_positions()));
        summarise(scores, heads, layer, result.max, result.mean, result.p99);
        if (params_.want_pairs) result.pairs.insert(result.pairs.end(), scores.begin(), scores.end());
      });
    if (!result.cache) continue;
    evict(layer, *kv, host, *result.cache);
    result.cache->layers.push_back(std::move(kv));
  }
  if (summary.valid()) summary.get();
  if (result.cache) {
    result.cache->last_logits = runner_->logits(context_rows_.slice(prefill_ - 1, 1));
    runner_->synchronize(spec_.layer_count() - 1);
  }
  result.peak_bytes = backend_.peak_bytes();
  result.kernels = backend_.kernel_times();
  return result;
}

SweepResult run_sweep(Backend& backend, const Model& model, const SweepParams& params, JobControl& control) {
  check_params(params, model.spec);
  if (params.method == ScoreMethod::kKvzipPlus && !backend.weighs_scores())
    throw Error(std::string("kvzip+ scores are computed on the CPU only, not on ") + backend.name() + "; score with --device cpu");
  return SweepRun(backend, model, params, control).run();
}

}  // namespace headzip
