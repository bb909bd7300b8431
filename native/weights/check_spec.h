// What can be wrong with the sizes of a model, before its weights are looked at.
#pragma once
#include "../model.h"

namespace headzip {

// Throws Error with one sentence that names the field.
void check_spec(const ModelSpec& spec);

}  // namespace headzip
