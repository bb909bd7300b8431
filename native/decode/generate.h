// Answers from a cache: the query's rows, then one token at a time, for several queries in one pass.
#pragma once
#include <atomic>
#include <mutex>
#include <vector>

#include "../backend.h"
#include "../kv/kv_cache.h"
#include "../job_control.h"
#include "sampler.h"

namespace headzip {

struct GenerateParams {
  std::vector<int32_t> query;
  int64_t max_tokens = 0;
  std::vector<int32_t> stop;  // ids that end the answer; they are not part of it
  Sampling sampling;
};

struct Generation {
  std::vector<int32_t> ids;
  bool stopped = false;             // by one of the ids that end an answer
  std::vector<float> first_logits;  // (vocab), of the first step
  double first_token_seconds = 0, decode_seconds = 0;
};

// Tokens as they come, for a watcher on another thread, who may also end an answer early.
class TokenFeed {
 public:
  void push(int32_t id);
  std::vector<int32_t> take();
  void finish() { finished_ = true; }
  bool finished() const { return finished_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::vector<int32_t> waiting_;
  std::atomic<bool> finished_{false};
};

// One answer for each of batch, feeds[i] being the i-th's. The cache is only read.
std::vector<Generation> generate(Backend& backend, const Model& model, const KvCache& cache,
                                 const std::vector<GenerateParams>& batch, JobControl& control, std::span<TokenFeed> feeds);
// The query and the answer stay in the cache: the conversation goes on. It is as before when this throws. `rewindable`:
// KvCache::rewind may then cut the answer short.
Generation converse(Backend& backend, const Model& model, KvCache& cache, const GenerateParams& params, bool rewindable,
                    JobControl& control, TokenFeed& feed);

// Natural logarithms of the probability of each answer token behind the query and the tokens before it.
std::vector<float> log_probs(Backend& backend, const Model& model, const KvCache& cache, const std::vector<int32_t>& query,
                             const std::vector<int32_t>& answer, JobControl& control);

}  // namespace headzip
