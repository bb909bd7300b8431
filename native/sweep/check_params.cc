#include "check_params.h"

#include <algorithm>

#include "../check.h"
#include "../error.h"

namespace headzip {

namespace {
void check_full_cache(const KvCache& cache, const SweepParams& params, const ModelSpec& spec) {
  const auto prefix = static_cast<int64_t>(params.prefix.size()), context = static_cast<int64_t>(params.context.size());
  if (params.chunks.empty()) throw Error("there are no chunks to score");
  if (params.want_cache) throw Error("scoring against a cache makes no cache");
  if (params.kind == SweepKind::kBlock) throw Error("a cache of the whole context cannot serve the block sweep");
  if (cache.prefix != prefix || cache.context != context || static_cast<int64_t>(cache.layers.size()) != spec.layer_count())
    throw Error("the cache is not of this system prefix and context");
  if (cache.evicted) throw Error("the cache is not full: it has been pruned");
  for (int64_t l = 0; l < cache.layer_count(); ++l)
    for (int64_t h = 0; h < cache.kv(l).heads(); ++h)
      if (cache.kv(l).length(h) != prefix + context) throw Error("the cache is not full: scoring needs every context entry and nothing after it");
}
}  // namespace

void check_params(const SweepParams& params, const ModelSpec& spec) {
  if (params.context.empty()) throw Error("the context is empty");
  check_ids(params.prefix, spec, "the system prefix");
  check_ids(params.context, spec, "the context");
  if (params.before < 0 || params.after < 0) throw Error("the context before and after must not be negative");
  if (params.before + params.after > 0 && (params.kind != SweepKind::kBlock || params.chunks.empty() || params.want_cache))
    throw Error("only the block sweep scores a part of the context, and keeps no cache of it");
  if (params.before > spec.max_positions || params.after > spec.max_positions)
    throw Error("the context before and after is longer than the model's positions");
  if (params.full && params.before + params.after > 0) throw Error("a full cache holds the whole context");
  const auto prefill = static_cast<int64_t>(params.prefix.size() + params.context.size()) + params.before + params.after;
  if (params.full) check_full_cache(*params.full, params, spec);
  int64_t at = params.full && !params.chunks.empty() ? std::max<int64_t>(params.chunks.front().start, 0) : 0, longest = 0;
  for (const Chunk& c : params.chunks) {
    if (c.start != at || c.end <= c.start) throw Error("chunks must follow one another and cover the context");
    if (c.ids.empty()) throw Error("a reconstruction input is empty");
    at = c.end;
    check_ids(c.ids, spec, "a reconstruction input");
    longest = std::max(longest, static_cast<int64_t>(c.ids.size()));
  }
  const auto context = static_cast<int64_t>(params.context.size());
  if (!params.chunks.empty() && (params.full ? at > context : at != context))
    throw Error("chunks must follow one another and cover the context");
  if (!params.ropes.empty()) check_ropes(params.ropes, spec);
  const int64_t most = params.full ? params.full->max_positions : params.max_positions == 0 ? spec.max_positions : params.max_positions;
  if (most < 1 || most > 1 << 30) throw Error("maxPositions must be an integer from 1 to 2^30");
  if (longest > 0) check_positions(prefill + longest, most, "the context with its repetition");
  else check_positions(prefill, most, "the context");
  if (!params.keep_heads.empty() && static_cast<int64_t>(params.keep_heads.size()) != spec.scored_heads())
    throw Error("the mask of heads must have an entry for every KV head of the scored layers");
  if (params.window.sink < 0 || params.window.recent < 0 || params.tile_rows < 0 || (params.uniform && params.uniform->count < 0))
    throw Error("window, rows and budget must not be negative");
  if (params.uniform && params.chunks.empty()) throw Error("the same budget in every head needs pair scores, so chunks");
}

}  // namespace headzip
