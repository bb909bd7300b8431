#include "check_plan.h"

#include <algorithm>

#include "../check.h"
#include "../error.h"

namespace headzip {

void check_full(const KvCache& cache, int64_t prefix, int64_t context, const ModelSpec& spec) {
  if (cache.prefix != prefix || cache.context != context || cache.layer_count() != spec.layer_count())
    throw Error("the cache is not of this system prefix and context");
  if (cache.evicted) throw Error("the cache is not full: it has been pruned");
  for (int64_t l = 0; l < cache.layer_count(); ++l)
    for (int64_t h = 0; h < cache.kv(l).heads(); ++h)
      if (cache.kv(l).length(h) != prefix + context)
        throw Error("the cache is not full: scoring needs every context entry and nothing after it");
}

namespace {

// Returns the tokens of the longest reconstruction input.
int64_t check_chunks(const SweepPlan& plan, const ModelSpec& spec) {
  const auto context = static_cast<int64_t>(plan.context.size());
  const Error order("chunks must follow one another and cover the context");
  int64_t at = plan.full != nullptr ? std::max<int64_t>(plan.chunks.front().start, 0) : 0, longest = 0;
  for (const Chunk& c : plan.chunks) {
    if (c.start != at || c.end <= c.start) throw order;
    if (c.ids.empty()) throw Error("a reconstruction input is empty");
    at = c.end;
    check_ids(c.ids, spec, "a reconstruction input");
    longest = std::max(longest, static_cast<int64_t>(c.ids.size()));
  }
  if (plan.full != nullptr ? at > context : at != context) throw order;
  return longest;
}

}  // namespace

void check_plan(const SweepPlan& plan, const ModelSpec& spec) {
  if (plan.context.empty()) throw Error("the context is empty");
  check_ids(plan.prefix, spec, "the system prefix");
  check_ids(plan.context, spec, "the context");
  if (plan.before < 0 || plan.after < 0) throw Error("the context before and after must not be negative");
  if (plan.before > spec.max_positions || plan.after > spec.max_positions)
    throw Error("the context before and after is longer than the model's positions");
  check_ropes(plan.ropes, spec);
  if (plan.max_positions < 1 || plan.max_positions > 1 << 30) throw Error("maxPositions must be an integer from 1 to 2^30");
  const auto read = static_cast<int64_t>(plan.prefix.size() + plan.context.size()) + plan.before + plan.after;
  if (plan.chunks.empty()) check_positions(read, plan.max_positions, "the context");
  else check_positions(read + check_chunks(plan, spec), plan.max_positions, "the context with its repetition");
  if (plan.mask != nullptr && static_cast<int64_t>(plan.mask->keep.size()) != spec.scored_heads())
    throw Error("the mask of heads must have an entry for every KV head of the scored layers");
  if (plan.mask != nullptr && (plan.mask->window.sink < 0 || plan.mask->window.recent < 0))
    throw Error("the window must not be negative");
  if (plan.tile_rows < 0 || (plan.uniform && plan.uniform->count < 0)) throw Error("rows and budget must not be negative");
}

}  // namespace headzip
