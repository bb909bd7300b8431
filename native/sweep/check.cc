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

void check_positions(int64_t needed, const ModelSpec& spec, const char* what) {
  if (needed > spec.max_positions)
    throw Error(std::string(what) + " needs " + std::to_string(needed) + " positions, but the model has " +
                std::to_string(spec.max_positions));
}

void check_job(const SweepJob& job, const ModelSpec& spec) {
  if (job.context.empty()) throw Error("the context is empty");
  check_ids(job.sink, spec, "the system prefix");
  check_ids(job.context, spec, "the context");
  if (job.before < 0 || job.after < 0) throw Error("the context before and after must not be negative");
  if (job.before + job.after > 0 && (job.kind != SweepKind::kBlock || job.chunks.empty() || job.want_cache))
    throw Error("only the block sweep scores a part of the context, and keeps no cache of it");
  if (job.before > spec.max_positions || job.after > spec.max_positions)
    throw Error("the context before and after is longer than the model's positions");
  const auto prefill = static_cast<int64_t>(job.sink.size() + job.context.size()) + job.before + job.after;
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
  if (longest > 0) check_positions(prefill + longest, spec, "the context with its repetition");
  else check_positions(prefill, spec, "the context");
  if (!job.keep_heads.empty() && static_cast<int64_t>(job.keep_heads.size()) != spec.layers * spec.kv_heads)
    throw Error("the mask of heads must have layers x kv_heads entries");
  if (!job.keep_layers.empty() && static_cast<int64_t>(job.keep_layers.size()) != spec.layers)
    throw Error("the mask of layers must have an entry a layer");
  if (job.window.sink < 0 || job.window.recent < 0 || job.tile_rows < 0 || (job.uniform && job.uniform->count < 0))
    throw Error("window, rows and budget must not be negative");
  if (job.uniform && job.chunks.empty()) throw Error("the same budget in every head needs pair scores, so chunks");
}

}  // namespace headzip
