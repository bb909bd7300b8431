// What can be wrong with what a sweep is asked for, before any work is done.
#pragma once
#include "sweep.h"

namespace headzip {

void check_params(const SweepParams& params, const ModelSpec& spec);

}  // namespace headzip
