// Attention and scores in double precision, key by key.
#pragma once
#include "group.h"

namespace headzip::parity {

// One call of attention() and what its values are on the host.
struct Call {
  AttentionSpec spec;
  int64_t rows = 0, position = 0, window = 0;
  std::vector<KvSegment> segments{};
  bool out = true, scores = false, weighted = false;
  // Filled in by run():
  std::vector<float> q{};              // (rows, heads * head_dim)
  std::vector<float> value_norms{}, row_norms{};  // (heads, entries of the scored layer), (rows)
};

// Whether a query at `position` sees entry `entry` of a head, in the output's softmax or the score's.
bool sees(const Call& call, const KvSegment& segment, int64_t head, int64_t entry, int64_t position, bool in_score);

Expected expected_output(const Call& call, const Precision& eps);
// (kv_heads, keys of the scored segment); 0 where no query saw a key.
Expected expected_scores(const Call& call, const Precision& eps);

// Runs the calls as one batch and compares outputs and scores.
void run(Rig& rig, Group& group, const std::string& what, std::vector<Call> batch);

}  // namespace headzip::parity
