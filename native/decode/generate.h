// Answers from a cache: the query's rows, then one token at a time.
#pragma once
#include <atomic>
#include <mutex>
#include <vector>

#include "../backend.h"
#include "../cache/kv_cache.h"
#include "../job.h"

namespace headzip {

struct GenerateJob {
  std::vector<int32_t> query;
  int64_t max_tokens = 0;
  std::vector<int32_t> stop;   // ids that end the answer; they are not part of it
  bool update_cache = false;   // keep the query's and the answer's KV: the conversation goes on
};

struct Generation {
  std::vector<int32_t> ids;
  std::vector<float> first_logits;  // (vocab), of the first step
  double first_token_seconds = 0, decode_seconds = 0;
};

// Tokens as they come, for a watcher on another thread.
class TokenFeed {
 public:
  void push(int32_t id);
  std::vector<int32_t> take();

 private:
  std::mutex mutex_;
  std::vector<int32_t> waiting_;
};

// The cache is as before when it throws, or when update_cache is false.
Generation generate(Backend& backend, const Model& model, KvCache& cache, const GenerateJob& job, Job& state, TokenFeed& feed);

}  // namespace headzip
