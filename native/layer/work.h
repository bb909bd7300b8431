// What a layer costs: multiply-adds, for progress, and the memory of a tile.
#pragma once
#include "../model.h"

namespace headzip {

// Multiply-adds of a layer's linear parts for one row, and of attention for one query and key.
double linear_work(const ModelSpec& spec, int64_t layer);
double attention_work(const AttentionSpec& spec);

// Values that a LayerRunner's buffers hold for one row of a tile.
int64_t buffer_values(const ModelSpec& spec);

}  // namespace headzip
