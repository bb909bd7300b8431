#include "attention_plan.h"

#include <algorithm>

namespace headzip::cuda {

namespace {

// Keys that the query rows [row, row + rows) meet, roughly: what a tile costs.
int64_t keys_seen(const AttentionJob& job, int64_t row, int64_t rows) {
  const int64_t last = job.position + std::min<int64_t>(row + rows, job.queries) - 1;
  int64_t keys = 0;
  for (int32_t i = 0; i < job.segments; ++i) {
    const Segment& s = job.segment[i];
    keys += std::clamp<int64_t>(last - s.position + 1, 0, s.end - s.begin);
  }
  return keys;
}

// Whether what `b` holds follows on `a`, and nothing needs them apart.
bool follows(const AttentionJob& job, const Segment& a, const Segment& b) {
  return a.heads == b.heads && a.ends == nullptr && b.ends == nullptr && a.end == b.begin &&
         a.position + (a.end - a.begin) == b.position && (job.lse == nullptr || a.in_score == b.in_score);
}

}  // namespace

void join_segments(AttentionJob& job) {
  int32_t kept = 0;
  for (int32_t i = 0; i < job.segments; ++i) {
    const Segment s = job.segment[i];
    if (kept > 0 && follows(job, job.segment[kept - 1], s)) job.segment[kept - 1].end = s.end;
    else job.segment[kept++] = s;
  }
  job.segments = kept;
}

Manner manner_of(const std::vector<AttentionJob>& jobs, int64_t head_dim) {
  int64_t fewest = INT64_MAX, most = 0;
  for (const AttentionJob& job : jobs) {
    fewest = std::min(fewest, keys_seen(job, 0, 1));
    most = std::max(most, keys_seen(job, 0, job.queries));
  }
  // Long contexts do not fit the L2 cache for all heads at once; short ones pay for pairs' larger tiles.
  const bool is_long = most >= 48 * 1024;
  return {is_long && head_dim > 64 ? 2 : 1, is_long && 2 * fewest >= most};
}

std::vector<Tile> tiles_of(const std::vector<AttentionJob>& jobs, int64_t rows, int64_t rows_a_query) {
  struct Costed {
    Tile tile;
    int64_t keys;
  };
  std::vector<Costed> all;
  for (size_t j = 0; j < jobs.size(); ++j)
    for (int64_t row = 0; row < jobs[j].queries * rows_a_query; row += rows)
      all.push_back({{static_cast<int32_t>(j), static_cast<int32_t>(row)},
                     keys_seen(jobs[j], row / rows_a_query, (rows + rows_a_query - 1) / rows_a_query)});
  std::stable_sort(all.begin(), all.end(), [](const Costed& a, const Costed& b) { return a.keys > b.keys; });
  std::vector<Tile> tiles;
  for (const Costed& each : all) tiles.push_back(each.tile);
  return tiles;
}

}  // namespace headzip::cuda
