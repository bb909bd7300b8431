// What can be wrong with the values of a plan, before any work is done.
#pragma once
#include "plan.h"

namespace headzip {

// Throw Error, one sentence.
void check_plan(const SweepPlan& plan, const ModelSpec& spec);
// Whether a cache holds every entry of so many tokens, and nothing else.
void check_full(const KvCache& cache, int64_t prefix, int64_t context, const ModelSpec& spec);

}  // namespace headzip
