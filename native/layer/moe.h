// Mixture of experts (MoE): which expert a row goes to, and the rows of one expert side by side.
#pragma once
#include <cstdint>
#include <vector>

#include "../model.h"

namespace headzip {

// Rows of a tile that one expert works on, ascending, and how much its answer counts for each.
struct ExpertRows {
  std::vector<int32_t> rows;
  std::vector<float> weights;
};

// logits (rows, experts) of the router; softmax over all experts, then the `per_token` largest of each row.
// One entry an expert. Ties go to the lower index.
std::vector<ExpertRows> route(const std::vector<float>& logits, const MoeSpec& spec);

}  // namespace headzip
