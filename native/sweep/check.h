// What can be wrong with what a sweep is asked for, before any work is done.
#pragma once
#include "sweep.h"

namespace headzip {

void check_ids(const std::vector<int32_t>& ids, const ModelSpec& spec, const char* what);
// `most`: positions that the ropes in use are made for.
void check_positions(int64_t needed, int64_t most, const char* what);
void check_params(const SweepParams& params, const ModelSpec& spec);

}  // namespace headzip
