#include "attention_plan.h"

#include <algorithm>

namespace headzip::cuda {

namespace {

// Keys that the query rows [row, row + rows) meet, roughly: what a tile costs.
int64_t keys_seen(const AttentionParams& params, int64_t row, int64_t rows) {
  const int64_t last = params.position + std::min<int64_t>(row + rows, params.queries) - 1;
  int64_t keys = 0;
  for (int32_t i = 0; i < params.segments; ++i) {
    const KvSegment& s = params.segment[i];
    keys += std::clamp<int64_t>(last - s.position + 1, 0, s.end - s.begin);
  }
  return keys;
}

// Whether what `b` holds follows on `a`, and nothing needs them apart.
bool follows(const AttentionParams& params, const KvSegment& a, const KvSegment& b) {
  return a.heads == b.heads && a.ends == nullptr && b.ends == nullptr && a.end == b.begin &&
         a.position + (a.end - a.begin) == b.position && (params.lse == nullptr || a.in_score == b.in_score);
}

}  // namespace

void merge_segments(AttentionParams& params) {
  int32_t kept = 0;
  for (int32_t i = 0; i < params.segments; ++i) {
    const KvSegment s = params.segment[i];
    if (kept > 0 && follows(params, params.segment[kept - 1], s)) params.segment[kept - 1].end = s.end;
    else params.segment[kept++] = s;
  }
  params.segments = kept;
}

Schedule schedule_of(const std::vector<AttentionParams>& batch, int64_t head_dim) {
  int64_t fewest = INT64_MAX, most = 0;
  for (const AttentionParams& params : batch) {
    fewest = std::min(fewest, keys_seen(params, 0, 1));
    most = std::max(most, keys_seen(params, 0, params.queries));
  }
  // Long contexts do not fit the L2 cache for all heads at once; short ones pay for pairs' larger tiles.
  const bool is_long = most >= 48 * 1024;
  return {is_long && head_dim > 64 ? 2 : 1, is_long && 2 * fewest >= most};
}

std::vector<Tile> tiles_of(const std::vector<AttentionParams>& batch, int64_t rows, int64_t rows_a_query) {
  struct Costed {
    Tile tile;
    int64_t keys;
  };
  std::vector<Costed> all;
  for (size_t j = 0; j < batch.size(); ++j)
    for (int64_t row = 0; row < batch[j].queries * rows_a_query; row += rows)
      all.push_back({{static_cast<int32_t>(j), static_cast<int32_t>(row)},
                     keys_seen(batch[j], row / rows_a_query, (rows + rows_a_query - 1) / rows_a_query)});
  std::stable_sort(all.begin(), all.end(), [](const Costed& a, const Costed& b) { return a.keys > b.keys; });
  std::vector<Tile> tiles;
  for (const Costed& each : all) tiles.push_back(each.tile);
  return tiles;
}

}  // namespace headzip::cuda
