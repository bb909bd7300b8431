#include "sweep.h"

#include <algorithm>
#include <future>
#include <string>

#include "check.h"
#include "layer.h"
#include "summary.h"

namespace headzip {

namespace {

constexpr int64_t kKeyBlock = 32;

// Rows that reconstruction inputs of one group hold together: their own KV is alive at the same time.
struct Group {
  size_t first_chunk, chunks;
  int64_t first_row, rows;  // in the repeat stream
};

class SweepRun {
 public:
  SweepRun(Backend& backend, const Model& model, const SweepJob& job, Job& state)
      : backend_(backend), model_(model), spec_(model.spec), job_(job), state_(state),
        sink_(static_cast<int64_t>(job.sink.size())), prefill_(sink_ + static_cast<int64_t>(job.context.size())),
        tile_(backend.tile_rows(model.spec)), last_scored_(model.spec.scored_layers().back()),
        end_(job.want_cache ? model.spec.layers : last_scored_ + 1) {
    if (job.tile_rows > 0) tile_ = std::min(tile_, job.tile_rows);
  }

  SweepResult run();

 private:
  void announce();
  void embed();
  void plan();
  void context_layer(int64_t layer, KvLayer& kv);
  void repeat_group(int64_t layer, KvLayer& kv, const Group& group, float* scores);
  Piece repeat_piece(KvLayer& kv, KvLayer& own, const Chunk& c, int64_t offset, int64_t rows, float* scores) const;
  void weigh(int64_t layer, const KvLayer& kv);
  void evict(int64_t layer, KvLayer& kv, std::span<const float> scores, KvCache& cache) const;
  int64_t context_tile_end(int64_t row, bool last) const;  // of the tile that starts at `row` of the context
  std::vector<Piece> context_pieces(int64_t row, int64_t end, KvLayer& kv) const;
  double tile_work(int64_t layer, int64_t rows, double keys, Need need) const;
  double weigh_work(int64_t entries) const {
    return static_cast<double>(entries) * static_cast<double>(spec_.heads * spec_.head_dim * spec_.hidden);
  }
  // Nothing after this layer reads the repeat stream, or the context's but for its last row.
  bool last_of_repeat(int64_t layer) const { return layer == last_scored_; }
  bool last_of_context(int64_t layer) const { return layer + 1 == end_; }
  bool scoring() const { return !job_.chunks.empty(); }
  bool blocks() const { return job_.kind == SweepKind::kBlock && scoring(); }
  bool weighted() const { return scoring() && job_.method == ScoreMethod::kKvzipPlus; }
  // Of the context in the last layer, where no output is wanted.
  Need last_need() const { return job_.want_cache || weighted() ? Need::kValues : Need::kKeys; }
  // Context positions of all chunks, which lie in a row.
  int64_t scored_positions() const { return job_.chunks.back().end - job_.chunks.front().start; }

  Backend& backend_;
  const Model& model_;
  const ModelSpec& spec_;
  const SweepJob& job_;
  Job& state_;
  int64_t sink_, prefill_, tile_;
  int64_t last_scored_, end_;  // layers [0, end_) are run
  OwnedRows context_rows_, repeat_rows_;
  ScoreBuffer value_norms_;  // (heads, entries) of the layer at hand, when weighted
  std::vector<Group> groups_;
  std::vector<std::unique_ptr<KvLayer>> own_;  // KV of the inputs of a group
  std::unique_ptr<LayerRunner> runner_;
};

double SweepRun::tile_work(int64_t layer, int64_t rows, double keys, Need need) const {
  const double linear = linear_work(spec_, layer) / (need == Need::kHidden ? 1 : 8);
  const double attention = need == Need::kHidden ? attention_work(spec_) : need == Need::kScores ? attention_work(spec_) / 2 : 0;
  if (const int64_t window = spec_.layer[layer].window; window > 0) keys = std::min(keys, static_cast<double>(window));
  return static_cast<double>(rows) * (linear + attention * keys);
}

// What the job will hold besides weights: two streams, one layer of KV (or all of it, when kept), a tile's buffers.
void SweepRun::announce() {
  int64_t repeat = 0, longest = 0;
  for (const Chunk& c : job_.chunks) {
    repeat += static_cast<int64_t>(c.ids.size());
    longest = std::max(longest, static_cast<int64_t>(c.ids.size()));
  }
  const int64_t kv = spec_.kv_heads * spec_.head_dim;
  const int64_t read = job_.full ? 0 : prefill_;
  int64_t entries = read;
  if (job_.want_cache)
    for (int64_t l = 0; l < spec_.layers; ++l) entries += spec_.visible(l, prefill_);
  const int64_t streams = (read + repeat) * spec_.hidden;
  const int64_t values = 2 * kv * (entries + std::max(longest, tile_)) + tile_ * buffer_values(spec_);
  backend_.begin(model_, static_cast<size_t>(streams) * backend_.stream_bytes() + static_cast<size_t>(values) * backend_.element_bytes());
}

void SweepRun::embed() {
  std::vector<int32_t> ids = job_.sink;
  ids.insert(ids.end(), job_.context.begin(), job_.context.end());
  if (!job_.full) {
    context_rows_ = backend_.stream(prefill_, spec_.hidden);
    backend_.embed(model_.embed, ids, spec_.embed_scale, context_rows_);
  }
  ids.clear();
  for (const Chunk& c : job_.chunks) ids.insert(ids.end(), c.ids.begin(), c.ids.end());
  if (ids.empty()) return;
  repeat_rows_ = backend_.stream(static_cast<int64_t>(ids.size()), spec_.hidden);
  backend_.embed(model_.embed, ids, spec_.embed_scale, repeat_rows_);
}

void SweepRun::plan() {
  int64_t row = 0, longest = 0;
  size_t most = 0;
  for (size_t c = 0; c < job_.chunks.size(); ++c) {
    const auto rows = static_cast<int64_t>(job_.chunks[c].ids.size());
    longest = std::max(longest, rows);
    if (groups_.empty() || groups_.back().rows + rows > tile_) groups_.push_back({c, 0, row, 0});
    groups_.back().chunks += 1;
    groups_.back().rows += rows;
    most = std::max(most, groups_.back().chunks);
    row += rows;
  }
  for (size_t i = 0; i < most; ++i) own_.push_back(backend_.kv(spec_.kv_heads, spec_.head_dim, longest));
  const std::vector<RopeRef>& ropes = job_.full ? job_.full->ropes : job_.ropes.empty() ? spec_.ropes : job_.ropes;
  runner_ = std::make_unique<LayerRunner>(backend_, model_, ropes, std::min(tile_, std::max(job_.full ? 0 : prefill_, row)));

  double total = 0;
  const auto context = static_cast<double>(prefill_), chunk = static_cast<double>(longest);
  const bool narrow = job_.kind != SweepKind::kFull;
  const double context_keys = job_.kind == SweepKind::kBlock ? std::min(context, chunk) / 2 : context / 2;
  for (int64_t l = 0; l < end_; ++l) {
    if (!job_.full) total += tile_work(l, prefill_, context_keys, last_of_context(l) ? Need::kKeys : Need::kHidden);
    if (l > last_scored_) continue;
    if (weighted() && spec_.layer[l].scored) total += weigh_work(scored_positions());
    const bool last = last_of_repeat(l);
    total += tile_work(l, row, narrow || last ? 1.5 * chunk : context + chunk / 2, last ? Need::kScores : Need::kHidden);
  }
  state_.total = total;
}

int64_t SweepRun::context_tile_end(int64_t row, bool last) const {
  const int64_t end = std::min(row + tile_, prefill_);
  // Of the last layer only the last token's output is wanted, and only for generation.
  return last && job_.want_cache && row < prefill_ - 1 ? std::min(end, prefill_ - 1) : end;
}

// Rows [row, end) of the context, cut where what they see changes: one block of kBlock sees nothing of another.
std::vector<Piece> SweepRun::context_pieces(int64_t row, int64_t end, KvLayer& kv) const {
  if (!blocks()) return {Piece{0, end - row, row < sink_ ? row : row + job_.before, &kv, {{&kv, 0, -1, 0}}, nullptr, 0}};
  std::vector<Piece> pieces;
  const int64_t first = row;
  size_t chunk = 0;
  while (row < end) {
    int64_t stop = std::min(end, sink_), start = 0;
    if (row >= sink_) {
      while (row >= sink_ + job_.chunks[chunk].end) ++chunk;
      start = sink_ + job_.chunks[chunk].start;
      stop = std::min(end, sink_ + job_.chunks[chunk].end);
    }
    Piece piece{row - first, stop - row, row < sink_ ? row : row + job_.before, &kv, {}, nullptr, 0};
    if (row >= sink_) piece.spans.push_back({&kv, 0, sink_, 0});
    piece.spans.push_back({&kv, start, stop - start, row < sink_ ? 0 : start + job_.before});
    pieces.push_back(std::move(piece));
    row = stop;
  }
  return pieces;
}

void SweepRun::context_layer(int64_t layer, KvLayer& kv) {
  const bool last = last_of_context(layer);
  for (int64_t row = 0; row < prefill_;) {
    const int64_t end = context_tile_end(row, last);
    const std::vector<Piece> pieces = context_pieces(row, end, kv);
    const bool final_row = last && job_.want_cache && row == prefill_ - 1;
    const Need need = !last || final_row ? Need::kHidden : last_need();
    runner_->run(layer, context_rows_.slice(row, end - row), pieces, need);
    backend_.pace();
    double work = 0;
    for (const Piece& p : pieces) {
      const double middle = static_cast<double>(row + p.first) + static_cast<double>(p.rows) / 2;
      work += tile_work(layer, p.rows, middle - (blocks() ? static_cast<double>(p.spans.back().begin - sink_) : 0), need);
    }
    state_.advance(work);
    row = end;
  }
}

// `own` holds the input's own KV; the piece is its rows [offset, offset + rows).
Piece SweepRun::repeat_piece(KvLayer& kv, KvLayer& own, const Chunk& c, int64_t offset, int64_t rows, float* scores) const {
  const int64_t start = sink_ + c.start, end = sink_ + c.end;
  const int64_t first = job_.before + prefill_ + job_.after;  // position of the input's first token
  float* const to = scores == nullptr ? nullptr : scores + c.start - job_.chunks.front().start;
  Piece piece{0, rows, first + offset, &own, {}, to, scored_positions(), {}};
  if (to != nullptr && weighted()) piece.weights = {value_norms_.data, value_norms_.positions, nullptr};
  const auto add = [&](KvLayer& from, int64_t begin, int64_t count, int64_t position, bool in_score, bool scored) {
    if (count != 0) piece.spans.push_back({&from, begin, count, position, false, in_score, scored});
  };
  const bool full = job_.kind == SweepKind::kFull;
  add(kv, 0, sink_, 0, true, false);
  if (full) add(kv, sink_, start - sink_, sink_, false, false);
  add(kv, start, end - start, start + job_.before, true, true);
  if (full) add(kv, end, prefill_ - end, end, false, false);
  add(own, 0, -1, first, true, false);
  return piece;
}

void SweepRun::repeat_group(int64_t layer, KvLayer& kv, const Group& group, float* scores) {
  const Need need = last_of_repeat(layer) ? Need::kScores : Need::kHidden;
  for (size_t i = 0; i < group.chunks; ++i)
    for (int64_t h = 0; h < spec_.kv_heads; ++h) own_[i]->truncate(h, 0);
  for (int64_t from = 0; from < group.rows; from += tile_) {
    const int64_t to = std::min(from + tile_, group.rows);
    std::vector<Piece> pieces;
    double work = 0;
    int64_t input = 0;  // first row of the input within the group
    for (size_t i = 0; i < group.chunks; ++i) {
      const Chunk& c = job_.chunks[group.first_chunk + i];
      const auto rows = static_cast<int64_t>(c.ids.size());
      const int64_t low = std::max(from, input), high = std::min(to, input + rows);
      if (low < high) {
        pieces.push_back(repeat_piece(kv, *own_[i], c, low - input, high - low, scores));
        pieces.back().first = low - from;
        const bool narrow = job_.kind != SweepKind::kFull || need == Need::kScores;
        const int64_t context = narrow ? sink_ + c.end - c.start : prefill_;
        work += tile_work(layer, high - low, static_cast<double>(context + (low + high) / 2 - input), need);
      }
      input += rows;
    }
    runner_->run(layer, repeat_rows_.slice(group.first_row + from, to - from), pieces, need);
    backend_.pace();
    state_.advance(work);
  }
}

// Tile by tile, so that it can be stopped.
void SweepRun::weigh(int64_t layer, const KvLayer& kv) {
  const int64_t begin = sink_ + job_.chunks.front().start, end = begin + scored_positions();
  for (int64_t at = begin; at < end; at += tile_) {
    const int64_t count = std::min(tile_, end - at);
    runner_->value_norms(layer, kv, at, count, value_norms_);
    state_.advance(weigh_work(count));
  }
}

// `scores` (kv_heads, context) of this layer, where there are any.
void SweepRun::evict(int64_t layer, KvLayer& kv, std::span<const float> scores, KvCache& cache) const {
  const int64_t context = prefill_ - sink_;
  const auto row = std::find(cache.scored.begin(), cache.scored.end(), layer);
  const auto first = (row - cache.scored.begin()) * spec_.kv_heads;
  std::vector<uint8_t> keep(static_cast<size_t>(context));
  for (int64_t h = 0; h < spec_.kv_heads; ++h) {
    if (const int64_t window = spec_.layer[layer].window; window > 0) forget_before(kv, h, prefill_ - window + 1);
    if (row == cache.scored.end()) continue;
    if (!job_.keep_heads.empty()) {
      if (job_.keep_heads[first + h] == 0) cache.evict_head(kv, h, job_.window);
    } else if (job_.uniform) {
      best_entries(scores.subspan(static_cast<size_t>(h * context), static_cast<size_t>(context)), *job_.uniform, keep);
      kv.retain(h, kept_entries(kv, h, kv.length(h), {sink_, context}, keep));
    }
  }
}

SweepResult SweepRun::run() {
  backend_.reset_peak();
  SweepResult result;
  announce();
  embed();
  plan();
  const int64_t context = prefill_ - sink_, heads = spec_.kv_heads;
  if (job_.want_cache) {
    result.cache = std::make_unique<KvCache>();
    result.cache->kv_heads = heads;
    result.cache->sink = sink_;
    result.cache->context = context;
    result.cache->position = result.cache->turn_start = prefill_;
    result.cache->evicted = !job_.keep_heads.empty() || job_.uniform.has_value();
    result.cache->scored = spec_.scored_layers();
    result.cache->ropes = job_.ropes.empty() ? spec_.ropes : job_.ropes;
    result.cache->max_positions = job_.max_positions == 0 ? spec_.max_positions : job_.max_positions;
  }
  ScoreBuffer scores;
  std::vector<float> host;    // (kv_heads, scored positions) of one layer
  std::future<void> summary;  // of `host`, made while the device goes on with the next layer
  if (scoring()) {
    scores = backend_.scores(heads, scored_positions());
    host.resize(static_cast<size_t>(heads * scored_positions()));
    // Kernels read whole blocks of keys.
    if (weighted()) value_norms_ = backend_.scores(spec_.heads, (prefill_ + kKeyBlock - 1) / kKeyBlock * kKeyBlock);
  }
  std::unique_ptr<KvLayer> kv;
  for (int64_t layer = 0; layer < end_; ++layer) {
    const bool scored = scoring() && spec_.layer[layer].scored;
    backend_.enter_layer(model_, layer);
    if (!job_.full) {
      if (!kv) kv = backend_.kv(heads, spec_.head_dim, prefill_);
      for (int64_t h = 0; h < heads; ++h) kv->truncate(h, 0);
      context_layer(layer, *kv);
    }
    KvLayer& context_kv = job_.full ? *job_.full->layers[static_cast<size_t>(layer)] : *kv;
    if (scored) backend_.clear(scores);
    if (scored && weighted()) weigh(layer, context_kv);
    if (layer <= last_scored_)
      for (const Group& group : groups_) repeat_group(layer, context_kv, group, scored ? scores.data : nullptr);
    if (summary.valid()) summary.get();
    if (scored) backend_.download(scores, host.data());
    runner_->settle(layer);
    if (scored)
      summary = std::async(std::launch::async, [&, layer] {
        summarise(host, heads, layer, result.max, result.mean, result.p99);
        if (job_.want_pairs) result.pairs.insert(result.pairs.end(), host.begin(), host.end());
      });
    if (!result.cache) continue;
    evict(layer, *kv, host, *result.cache);
    result.cache->layers.push_back(std::move(kv));
  }
  if (summary.valid()) summary.get();
  if (result.cache) {
    result.cache->last_logits = runner_->logits(context_rows_.slice(prefill_ - 1, 1));
    runner_->settle(spec_.layers - 1);
  }
  result.peak_bytes = backend_.peak_bytes();
  result.kernels = backend_.kernel_times();
  return result;
}

}  // namespace

SweepResult run_sweep(Backend& backend, const Model& model, const SweepJob& job, Job& state) {
  check_job(job, model.spec);
  if (job.method == ScoreMethod::kKvzipPlus && !backend.weighs_scores())
    throw Error(std::string("kvzip+ scores are computed on the CPU only, not on ") + backend.name() + "; score with --device cpu");
  return SweepRun(backend, model, job, state).run();
}

}  // namespace headzip
