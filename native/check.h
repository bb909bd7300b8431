// What can be wrong with token ids and positions, before any work is done.
#pragma once
#include <cstdint>
#include <span>

#include "model.h"

namespace headzip {

// Throw Error, one sentence. `what` names the ids, or whose positions.
void check_ids(std::span<const int32_t> ids, const ModelSpec& spec, const char* what);
// `most`: positions that the ropes in use are made for.
void check_positions(int64_t needed, int64_t most, const char* what);

}  // namespace headzip
