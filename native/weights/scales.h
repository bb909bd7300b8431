// Where the scales of an FP8 weight lie.
#pragma once
#include <memory>
#include <vector>

#include "../model.h"

namespace headzip {

// Checks that the scales lie within their file, cover every element of a weight (rows, cols), and are finite.
// Throws Error naming the tensor; without scales for a weight that needs none it returns an empty grid.
ScaleGrid find_scales(const WeightRef& ref, int64_t rows, int64_t cols,
                      const std::vector<std::shared_ptr<const MappedFile>>& files);

}  // namespace headzip
