#include "generate.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "../check.h"
#include "../error.h"
#include "decoder.h"

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

constexpr size_t kWorking = size_t{64} << 20;  // what a decoding job holds besides the cache, about
constexpr size_t kMostQueries = 4096;

using Clock = std::chrono::steady_clock;
double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

// One answer on its way.
class Sequence {
 public:
  Sequence(const GenerateParams& params, TokenFeed& feed, Tail tail, int64_t most, int64_t room)
      : tail(std::move(tail)), params_(params), feed_(feed), sampler_(params.sampling), most_(most), room_(room),
        start_(Clock::now()) {}

  // Takes the logits behind what the tail holds. With `keep` the tail must end up holding the last token as well.
  void take(std::span<const float> logits, bool keep) {
    const int32_t id = sampler_.pick(logits);
    if (out.first_logits.empty()) {
      out.first_logits.assign(logits.begin(), logits.end());
      out.first_token_seconds = seconds(start_);
      first_ = Clock::now();
    }
    take_id(id, keep);
  }
  // The same of the argmax, where the sampler is greedy.
  void take(const Argmax& argmax, bool keep) { take_id(sampler_.pick(argmax), keep); }
  bool greedy() const { return sampler_.greedy(); }
  void end() {
    done = true;
    out.decode_seconds = seconds(first_);
  }

  Tail tail;
  Generation out;
  int32_t next = 0;   // to be run
  bool last = false;  // `next` only joins the tail: nothing comes after it
  bool done = false;

 private:
  void take_id(int32_t id, bool keep) {
    next = id;
    out.stopped = std::find(params_.stop.begin(), params_.stop.end(), next) != params_.stop.end();
    if (!out.stopped) {
      out.ids.push_back(next);
      feed_.push(next);
    }
    last = out.stopped || static_cast<int64_t>(out.ids.size()) >= most_ || feed_.finished();
    if (last && (!keep || tail.tokens >= room_)) end();
    if (!last && tail.tokens >= room_) end();
  }

  const GenerateParams& params_;
  TokenFeed& feed_;
  Sampler sampler_;
  int64_t most_, room_;  // tokens of the answer; tokens that the tail may hold before the model's positions end
  Clock::time_point start_, first_{};
};

void check(const GenerateParams& params, const KvCache& cache, const ModelSpec& spec) {
  if (params.query.empty()) throw Error("the query is empty");
  if (params.max_tokens < 1) throw Error("at least one new token must be asked for");
  check_ids(params.query, spec, "the query");
  check_positions(cache.position + static_cast<int64_t>(params.query.size()) + 1, cache.max_positions,
                  "the context with the query");
  check_sampling(params.sampling);
}

void check_cache(const KvCache& cache, const Model& model) {
  bool fits = cache.layers.size() == model.spec.layers.size();
  for (size_t l = 0; fits && l < cache.layers.size(); ++l) {
    const AttentionSpec& attention = model.spec.layers[l].attention;
    const KvLayer& kv = cache.kv(static_cast<int64_t>(l));
    fits = kv.heads() == attention.kv_heads && kv.head_dim() == attention.head_dim;
  }
  if (!fits) throw Error("this cache does not have the model's layers and KV heads");
  check_ropes(cache.ropes, model.spec);
}

std::vector<Sequence> run(Backend& backend, const Model& model, const KvCache& cache, std::span<const GenerateParams> batch,
                          JobControl& control, std::span<TokenFeed> feeds, bool keep) {
  if (batch.empty() || batch.size() > kMostQueries || feeds.size() != batch.size())
    throw Error("a batch holds from 1 to " + std::to_string(kMostQueries) + " queries");
  check_cache(cache, model);
  size_t longest = 0;
  double total = 0;
  for (const GenerateParams& params : batch) {
    check(params, cache, model.spec);
    longest = std::max(longest, params.query.size());
    total += static_cast<double>(params.query.size()) + static_cast<double>(params.max_tokens);
  }
  control.total = total;
  backend.begin(model, kWorking);
  const auto rows = static_cast<int64_t>(std::max(longest, batch.size()));
  Decoder decoder(backend, model, cache, std::min(backend.tile_rows(model.spec), rows));

  std::vector<Sequence> all;
  all.reserve(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto query = static_cast<int64_t>(batch[i].query.size());
    const int64_t room = cache.max_positions - cache.position;
    all.emplace_back(batch[i], feeds[i], decoder.tail(query + std::min<int64_t>(batch[i].max_tokens, 64)),
                     std::min(batch[i].max_tokens, room - query), room);
  }
  for (size_t i = 0; i < batch.size(); ++i)
    decoder.extend(all[i].tail, batch[i].query, batch[i].query.size() - 1, control,
                   [&](int64_t, int64_t, const std::vector<float>& logits) { all[i].take(logits, keep); });

  std::vector<Sequence*> active;
  std::vector<Tail*> tails;
  std::vector<int32_t> ids;
  while (true) {
    active.clear(), tails.clear(), ids.clear();
    StepOutput wanted = StepOutput::kNothing;
    for (Sequence& s : all) {
      if (s.done) continue;
      active.push_back(&s), tails.push_back(&s.tail), ids.push_back(s.next);
      // A cap may make unequal logits equal: who caps them looks at all of them.
      if (!s.last)
        wanted = std::max(wanted, s.greedy() && model.spec.logit_cap == 0 ? StepOutput::kArgmax : StepOutput::kLogits);
    }
    if (active.empty()) return all;
    const StepResult made = decoder.step(tails, ids, wanted, control);
    for (size_t i = 0; i < active.size(); ++i) {
      if (active[i]->last) active[i]->end();
      else if (wanted == StepOutput::kArgmax) active[i]->take(made.argmax[i], keep);
      else active[i]->take(std::span(made.logits).subspan(i * model.spec.vocab, model.spec.vocab), keep);
    }
    control.advance(static_cast<double>(active.size()));
  }
}

}  // namespace

std::vector<Generation> generate(Backend& backend, const Model& model, const KvCache& cache,
                                 const std::vector<GenerateParams>& batch, JobControl& control, std::span<TokenFeed> feeds) {
  std::vector<Generation> out;
  for (Sequence& s : run(backend, model, cache, batch, control, feeds, false)) out.push_back(std::move(s.out));
  return out;
}

Generation converse(Backend& backend, const Model& model, KvCache& cache, const GenerateParams& params, bool rewindable,
                    JobControl& control, TokenFeed& feed) {
  std::vector<Sequence> made = run(backend, model, cache, {&params, 1}, control, {&feed, 1}, true);
  std::vector<int64_t> windows;
  for (const LayerSpec& layer : model.spec.layers) windows.push_back(layer.attention.window);
  model.check_size();  // the turn's last token joins without logits, which would have told
  cache.extend(made[0].tail.layers, made[0].tail.tokens, windows, rewindable);
  return std::move(made[0].out);
}

std::vector<float> log_probs(Backend& backend, const Model& model, const KvCache& cache, const std::vector<int32_t>& query,
                             const std::vector<int32_t>& answer, JobControl& control) {
  if (query.empty()) throw Error("the query is empty");
  if (answer.empty()) throw Error("the answer is empty");
  check_cache(cache, model);
  check_ids(query, model.spec, "the query");
  check_ids(answer, model.spec, "the answer");
  std::vector<int32_t> ids = query;
  ids.insert(ids.end(), answer.begin(), answer.end() - 1);  // the last token's own logits speak of what comes after it
  check_positions(cache.position + static_cast<int64_t>(ids.size()), cache.max_positions, "the context with query and answer");
  control.total = static_cast<double>(ids.size());
  backend.begin(model, kWorking);
  Decoder decoder(backend, model, cache, std::min(backend.tile_rows(model.spec), static_cast<int64_t>(ids.size())));
  Tail tail = decoder.tail(static_cast<int64_t>(ids.size()));
  std::vector<float> out;
  decoder.extend(tail, ids, query.size() - 1, control, [&](int64_t, int64_t count, const std::vector<float>& logits) {
    for (int64_t i = 0; i < count; ++i)
      out.push_back(log_probability(std::span(logits).subspan(i * model.spec.vocab, model.spec.vocab), answer[out.size()]));
  });
  return out;
}

}  // namespace headzip
