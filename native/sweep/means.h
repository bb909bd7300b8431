// Mean query and mean key of every head over a text: what DuoAttention's on-the-fly estimate looks at.
#pragma once
#include <cstdint>
#include <vector>

#include "../backend.h"
#include "../job_control.h"

namespace headzip {

struct MeansParams {
  std::vector<int32_t> text;
  int64_t tile_rows = 0;       // most rows of a pass; 0: the backend's choice
  std::vector<RopeRef> ropes;  // in place of the model's own, for texts longer than those are made for; or empty
  int64_t max_positions = 0;   // that `ropes` are made for; 0: the model's
};

// Of the scored layers, after the norms over heads, before the rope.
struct MeansResult {
  std::vector<float> queries;  // (scored layers, heads, head_dim)
  std::vector<float> keys;     // (scored layers, kv_heads, head_dim)
  size_t peak_bytes = 0;       // of the engine's own memory: weights are mapped and not counted
};

// One prefill of the text with the KV of one layer alive.
// Throws Error (one sentence) for a job that does not fit the model, Aborted when asked to stop.
MeansResult run_means(Backend& backend, const Model& model, const MeansParams& params, JobControl& control);

}  // namespace headzip
