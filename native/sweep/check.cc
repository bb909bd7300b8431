#include <string>

#include "../error.h"
#include "check.h"

namespace headzip {

void check_ids(const std::vector<int32_t>& ids, const ModelSpec& spec, const char* what) {
  for (const int32_t id : ids)
    if (id < 0 || id >= spec.vocab)
      throw Error(std::string(what) + " holds the token id " + std::to_string(id) + ", but the model's vocabulary has " +
                  std::to_string(spec.vocab) + " entries");
}

void check_positions(int64_t needed, int64_t most, const char* what) {
  if (needed > most)
    throw Error(std::string(what) + " needs " + std::to_string(needed) + " positions, but the model has " + std::to_string(most));
}

void check_job(const SweepJob& job, const ModelSpec& spec) {
  if (job.context.empty()) throw Error("the context is empty");
  check_ids(job.sink, spec, "the system prefix");
  check_ids(job.context, spec, "the context");
  const auto prefill = static_cast<int64_t>(job.sink.size() + job.context.size());
  int64_t at = 0, longest = 0;
  for (const Chunk& c : job.chunks) {
    if (c.start != at || c.end <= c.start) throw Error("chunks must follow one another and cover the context");
    if (c.ids.empty()) throw Error("a reconstruction input is empty");
    at = c.end;
    check_ids(c.ids, spec, "a reconstruction input");
    longest = std::max(longest, static_cast<int64_t>(c.ids.size()));
  }
  if (!job.chunks.empty() && at != static_cast<int64_t>(job.context.size()))
    throw Error("chunks must follow one another and cover the context");
  if (!job.ropes.empty()) check_ropes(job.ropes, spec);
  const int64_t most = job.max_positions == 0 ? spec.max_positions : job.max_positions;
  if (most < 1 || most > 1 << 30) throw Error("maxPositions must be an integer from 1 to 2^30");
  if (longest > 0) check_positions(prefill + longest, most, "the context with its repetition");
  else check_positions(prefill, most, "the context");
  if (!job.keep_heads.empty() && job.keep_heads.size() != spec.scored_layers().size() * spec.kv_heads)
    throw Error("the mask of heads must have scored layers x kv_heads entries");
  if (job.window.sink < 0 || job.window.recent < 0 || job.tile_rows < 0 || (job.uniform && job.uniform->count < 0))
    throw Error("window, rows and budget must not be negative");
  if (job.uniform && job.chunks.empty()) throw Error("the same budget in every head needs pair scores, so chunks");
}

}  // namespace headzip
