#include "generate.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "../error.h"
#include "../sweep/check.h"
#include "../sweep/layer.h"

namespace headzip {

void TokenFeed::push(int32_t id) {
  std::lock_guard lock(mutex_);
  waiting_.push_back(id);
}

std::vector<int32_t> TokenFeed::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

namespace {

// Puts a cache back unless told that its new entries shall stay.
class Rollback {
 public:
  explicit Rollback(KvCache& cache) : cache_(cache), before_(cache.snapshot()) {}
  ~Rollback() {
    if (!keep_) cache_.truncate(before_);
  }
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  void keep() { keep_ = true; }

 private:
  KvCache& cache_;
  KvCache::Snapshot before_;
  bool keep_ = false;
};

// Appends rows for `ids` to the cache; logits of the last of them.
std::vector<float> forward(Backend& backend, const Model& model, LayerRunner& runner, KvCache& cache,
                           std::span<const int32_t> ids, int64_t tile, Job& state) {
  std::vector<float> logits;
  for (size_t at = 0; at < ids.size(); at += static_cast<size_t>(tile)) {
    const auto part = ids.subspan(at, std::min(static_cast<size_t>(tile), ids.size() - at));
    const auto rows = static_cast<int64_t>(part.size());
    const OwnedRows x = backend.rows(rows, model.spec.hidden);
    backend.embed(model.embed, part, x);
    for (size_t l = 0; l < cache.layers.size(); ++l) {
      state.check();
      backend.enter_layer(model, static_cast<int64_t>(l));
      KvLayer* kv = cache.layers[l].get();
      const Piece piece{0, rows, cache.position, kv, {{kv, 0, -1, cache.position + rows - 1, true}}, nullptr, 0};
      runner.run(static_cast<int64_t>(l), x, {&piece, 1}, Need::kHidden);
    }
    cache.position += rows;
    if (at + part.size() == ids.size()) logits = runner.logits(x.slice(rows - 1, 1));
  }
  return logits;
}

}  // namespace

Generation generate(Backend& backend, const Model& model, KvCache& cache, const GenerateJob& job, Job& state, TokenFeed& feed) {
  if (job.query.empty()) throw Error("the query is empty");
  if (job.max_tokens < 1) throw Error("at least one new token must be asked for");
  check_ids(job.query, model.spec, "the query");
  const auto length = static_cast<int64_t>(job.query.size());
  check_positions(cache.position + length + 1, model.spec, "the context with the query");
  // The last position is the model's own limit: an answer ends there.
  const int64_t most = std::min(job.max_tokens, model.spec.max_positions - cache.position - length);
  state.total = static_cast<double>(length + most);

  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); };
  const Clock::time_point start = Clock::now();
  Rollback rollback(cache);
  backend.begin(model, static_cast<size_t>(64) << 20);
  const int64_t tile = std::min(backend.tile_rows(model.spec), length);
  LayerRunner runner(backend, model, tile);
  Generation out;
  std::vector<float> logits = forward(backend, model, runner, cache, job.query, tile, state);
  out.first_logits = logits;
  Clock::time_point first{};
  while (true) {
    const auto id = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (out.ids.empty()) {
      out.first_token_seconds = seconds(start);
      first = Clock::now();
    }
    const bool stop = std::find(job.stop.begin(), job.stop.end(), id) != job.stop.end();
    if (!stop) {
      out.ids.push_back(id);
      feed.push(id);
    }
    const bool full = static_cast<int64_t>(out.ids.size()) >= most;
    // A kept conversation needs the KV of everything that was said, the closing token too.
    if ((stop || full) && !job.update_cache) break;
    if (cache.position >= model.spec.max_positions) break;
    logits = forward(backend, model, runner, cache, {&id, 1}, tile, state);
    if (stop || full) break;
    state.advance(1);
  }
  out.decode_seconds = seconds(first);
  if (job.update_cache) rollback.keep();
  return out;
}

}  // namespace headzip
